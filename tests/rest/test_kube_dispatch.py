"""The API server without a socket: discovery's documents, reviews, refusals, old watch paths."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from kubesim import Cluster
from kubesim.apiserver.schema.schemas import references
from kubesim.rest import RestServer
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request


@pytest.fixture(scope="module")
def server() -> RestServer:
    """A server of a small cluster that is not started."""
    return RestServer(Cluster(nodes=1, seed=1).api)


def send(
    server: RestServer, method: str, path: str, body: object = None, **headers: str
) -> Response:
    """Dispatch a request."""
    parts = urlsplit(path)
    segments = tuple(parts.path.split("/")[1:])
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("content-type", "application/json")
    data = b"" if body is None else json.dumps(body).encode()
    return server.dispatch(Request(method, parts.path, segments, parts.query, named, data))


def get(server: RestServer, path: str) -> Any:
    """The document that a GET returns."""
    reply = send(server, "GET", path)
    assert reply.status == 200, path
    return json.loads(reply.body)


# -- OpenAPI ---------------------------------------------------------------------------------------


def test_the_index_lists_groups_versions_and_what_is_about_the_server(server: RestServer) -> None:
    """As a real 1.34 server does, sorted: api, api/v1, apis, apis/apps, apis/apps/v1, version."""
    index = list(get(server, "/openapi/v3")["paths"])
    assert index == sorted(index)
    expected = ["api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "version"]
    expected += [f"apis/{name}.k8s.io/v1" for name in ("authentication", "authorization")]
    assert set(expected) <= set(index)
    groups = [group["name"] for group in get(server, "/apis")["groups"]]
    assert {path for path in index if path.count("/") == 1} == {
        "api/v1",
        *(f"apis/{group}" for group in groups),
    }


@pytest.mark.parametrize(
    ("path", "operation", "tag", "component"),
    [
        ("api", "getCoreAPIVersions", "core", "APIVersions"),
        ("apis", "getAPIVersions", "apis", "APIGroupList"),
        ("apis/authentication.k8s.io", "getAuthenticationAPIGroup", "authentication", "APIGroup"),
        ("apis/apps/v1", "getAppsV1APIResources", "apps_v1", "APIResourceList"),
        ("api/v1", "getCoreV1APIResources", "core_v1", "APIResourceList"),
        ("version", "getCodeVersion", "version", "Info"),
    ],
)
def test_the_documents_describe_their_own_path(
    server: RestServer, path: str, operation: str, tag: str, component: str
) -> None:
    """With the names of api/openapi-spec/v3; each reference leads somewhere."""
    document = get(server, f"/openapi/v3/{path}")
    described = document["paths"][f"/{path}/"]["get"]
    assert (described["operationId"], described["tags"]) == (operation, [tag])
    content = described["responses"]["200"]["content"]["application/json"]
    assert content["schema"]["$ref"].rpartition(".")[2] == component
    assert references(document) <= set(document["components"]["schemas"])
    assert get(server, f"/{path}/")


def test_reviews_are_described(server: RestServer) -> None:
    """Their paths can only be posted to; version 2 names their operations as the real server."""
    document = get(server, "/openapi/v3/apis/authorization.k8s.io/v1")
    assert {path: list(item) for path, item in document["paths"].items()} == {
        "/apis/authorization.k8s.io/v1/": ["get"],
        "/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews": ["post"],
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": ["post"],
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews": ["post"],
        "/apis/authorization.k8s.io/v1/subjectaccessreviews": ["post"],
    }
    spec = document["components"]["schemas"]["io.k8s.api.authorization.v1.SubjectAccessReviewSpec"]
    assert "resourceAttributes" in spec["properties"]
    path = get(server, "/openapi/v2")["paths"]["/apis/authentication.k8s.io/v1/tokenreviews"]
    assert path["post"]["operationId"] == "createAuthenticationV1TokenReview"
    assert path["post"]["tags"] == ["authentication_v1"]


# -- reviews ---------------------------------------------------------------------------------------

AUTHENTICATION = "/apis/authentication.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
LOCAL = f"{AUTHORIZATION}/namespaces/shop/localsubjectaccessreviews"
MAY_GET = {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "shop"}}
SPECS: dict[str, dict[str, Any]] = {
    f"{AUTHENTICATION}/tokenreviews": {"token": "t"},
    f"{AUTHENTICATION}/selfsubjectreviews": {},
    LOCAL: {"user": "ann", **MAY_GET},
    f"{AUTHORIZATION}/subjectaccessreviews": {"user": "ann", **MAY_GET},
    f"{AUTHORIZATION}/selfsubjectaccessreviews": MAY_GET,
    f"{AUTHORIZATION}/selfsubjectrulesreviews": {"namespace": "shop"},
}
TOKEN = "/api/v1/namespaces/default/serviceaccounts/default/token"


@pytest.mark.parametrize("path", SPECS)
def test_unknown_fields_of_a_review_are_dropped(server: RestServer, path: str) -> None:
    """With a warning; refused under Strict; silently under Ignore; dryRun=All changes nothing."""
    spec = SPECS[path] | ({} if path.endswith("/selfsubjectreviews") else {"colour": "red"})
    review = {"spec": spec, "shape": 1} if spec else {"shape": 1}
    reply = send(server, "POST", f"{path}?dryRun=All", review)
    assert reply.status == 201
    assert "colour" not in str(reply.body) and "shape" not in str(reply.body)
    assert 'unknown field \\"shape\\"' in reply.headers["Warning"]
    quiet = send(server, "POST", f"{path}?fieldValidation=Ignore", review)
    assert quiet.status == 201 and "Warning" not in quiet.headers
    refused = send(server, "POST", f"{path}?fieldValidation=Strict", review)
    assert refused.status == 400
    assert "strict decoding error: unknown field" in json.loads(refused.body)["message"]


def reviewed(server: RestServer, path: str, **more: Any) -> Any:
    """The answer to a review."""
    reply = send(server, "POST", f"{path}?fieldManager=me", {"spec": SPECS[path], **more})
    return json.loads(reply.body)


def test_what_a_review_carries_beside_its_status(server: RestServer) -> None:
    """managedFields of what was sent; new objects for the reviews of oneself; no null time."""
    local = reviewed(server, LOCAL)["metadata"]
    assert local["namespace"] == "shop"
    (entry,) = local["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("me", "Update")
    assert set(entry["fieldsV1"]["f:spec"]) == {"f:resourceAttributes", "f:user"}
    null = {"metadata": {"creationTimestamp": None}}
    token = reviewed(server, f"{AUTHENTICATION}/tokenreviews", **null)
    assert list(token["metadata"]) == ["managedFields"] and token["spec"] == {"token": "t"}
    rules = reviewed(server, f"{AUTHORIZATION}/selfsubjectrulesreviews")
    assert (rules["metadata"], rules["spec"]) == ({}, {})
    path = f"{AUTHENTICATION}/selfsubjectreviews"
    who = json.loads(send(server, "POST", path, {"metadata": {"name": "x"}}).body)
    assert who["metadata"] == {"creationTimestamp": "2025-01-01T00:00:00Z"}
    assert list(who) == ["kind", "apiVersion", "metadata", "status"]


def test_what_reviews_refuse(server: RestServer) -> None:
    """Metadata of an access review, wrong types, and options that are not supported."""
    path = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    named = reviewed(server, path, metadata={"name": "a"})
    assert (named["code"], named["details"]["causes"][0]["field"]) == (422, "metadata")
    assert named["message"].endswith("must be empty")
    wrong = send(server, "POST", path, {"spec": {"resourceAttributes": {"verb": 1}}})
    assert wrong.status == 400
    assert "json: cannot unmarshal number into Go struct field" in str(wrong.body)
    assert send(server, "POST", f"{path}?dryRun=Some", {"spec": MAY_GET}).status == 422
    request = {"spec": {"audiences": [], "colour": "red"}}
    token = send(server, "POST", f"{TOKEN}?fieldValidation=Strict", request)
    assert token.status == 400 and 'unknown field \\"spec.colour\\"' in token.body.decode()
