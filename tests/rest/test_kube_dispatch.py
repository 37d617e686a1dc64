"""The API server without a socket: discovery's documents, reviews, refusals, old watch paths."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from kubesim import Cluster
from kubesim.apiserver.schema.schemas import references
from kubesim.rest import RestServer
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request, RequestRejected
from kubesim.rest.kube.bodies import MEDIA_TYPES
from kubesim.rest.users import User


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


# -- refusals --------------------------------------------------------------------------------------

USERS = [User("ann", (), (), "token-of-ann")]
PATHS = ["/healthz", "/livez", "/readyz/ping", "/metrics", "/version", "/openapi/v2", "/apis"]


@pytest.fixture(scope="module")
def guarded(server: RestServer) -> RestServer:
    """A server of the same cluster that asks for the token of a user."""
    return RestServer(Cluster(nodes=1, seed=1).api, users=USERS)


@pytest.mark.parametrize("path", PATHS)
def test_with_a_wrong_token_the_answer_is_a_status(guarded: RestServer, path: str) -> None:
    """Unauthorized, as everywhere on the routes of Kubernetes."""
    refused = send(guarded, "GET", path, authorization="Bearer wrong")
    body = json.loads(refused.body)
    assert refused.status == 401
    assert (body["kind"], body["reason"], body["message"]) == (
        "Status",
        "Unauthorized",
        "Unauthorized",
    )


def test_a_user_who_may_not_read_metrics_gets_a_status(guarded: RestServer) -> None:
    """Forbidden, with the path; the health checks are for everybody who is known."""
    ann = {"authorization": "Bearer token-of-ann"}
    refused = json.loads(send(guarded, "GET", "/metrics", **ann).body)
    assert (refused["kind"], refused["code"]) == ("Status", 403)
    assert refused["message"] == 'forbidden: User "ann" cannot get path "/metrics"'
    assert send(guarded, "GET", "/healthz", **ann).body == b"ok"


@pytest.mark.parametrize("path", ["/api/pods", "/api/nodes", "/health", "/"])
def test_the_simple_routes_keep_their_form(guarded: RestServer, path: str) -> None:
    """{"error": ...}, with or without a token of somebody."""
    with pytest.raises(RequestRejected) as refused:
        send(guarded, "GET", path)
    reply = guarded.reject(refused.value)
    assert (reply.status, list(json.loads(reply.body))) == (401, ["error"])


# -- the deprecated watch paths --------------------------------------------------------------------

WATCHED = {  # path -> a part of the message of its refusal
    "/api/v1/watch/pods": '"pods" in API group "" at the cluster scope',
    "/api/v1/watch/namespaces/shop/pods": '"pods" in API group "" in the namespace "shop"',
    "/api/v1/watch/namespaces/shop/pods/web": 'pods "web" is forbidden',
    "/api/v1/watch/nodes/node-1": 'nodes "node-1" is forbidden',
    "/api/v1/watch/namespaces/shop": 'namespaces "shop" is forbidden',
    "/apis/apps/v1/watch/deployments": 'resource "deployments" in API group "apps"',
}


def watched(server: RestServer, path: str) -> list[Any]:
    """The events of a watch that is ready to end."""
    reply = send(server, "GET", path)
    assert reply.status == 200 and reply.stream is not None, reply.body
    ours, theirs = socket.socketpair()
    reply.stream(theirs, b"", None)
    with server.streams._lock:
        (stream,) = server.streams._streams
    chunks = stream.source.pull(0)
    server.streams._drop(stream)
    ours.close()
    lines = [line for line in chunks.split(b"\r\n") if line.startswith(b"{")]
    return [json.loads(event) for line in lines for event in line.splitlines()]


def test_a_deprecated_path_is_a_watch(server: RestServer) -> None:
    """Of all namespaces, of one, of one object; the events are those of ?watch=1."""
    maps = "/api/v1/namespaces/kube-system/configmaps"
    everywhere = watched(server, "/api/v1/watch/namespaces")
    assert everywhere == watched(server, "/api/v1/namespaces?watch=1") and len(everywhere) > 3
    (one,) = watched(server, "/api/v1/watch/namespaces/default")
    assert (one["type"], one["object"]["metadata"]["name"]) == ("ADDED", "default")
    (chosen,) = watched(server, "/api/v1/watch/namespaces?fieldSelector=metadata.name%3Ddefault")
    assert chosen == one
    assert watched(server, maps.replace("v1/", "v1/watch/")) == watched(server, f"{maps}?watch=1")


@pytest.mark.parametrize("path", WATCHED)
def test_a_deprecated_path_asks_for_the_verb_watch(guarded: RestServer, path: str) -> None:
    """With the namespace and the name of the path."""
    refused = send(guarded, "GET", path, authorization="Bearer token-of-ann")
    message = json.loads(refused.body)["message"]
    assert refused.status == 403 and WATCHED[path] in message and "cannot watch" in message


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/v1/watch/namespaces/default/pods", 405),
        ("DELETE", "/api/v1/watch/namespaces/default/pods/web", 405),
        ("GET", "/api/v1/watch/namespaces/default/pods/web/status", 404),
        ("GET", "/api/v1/watch/pods/web", 404),
        ("GET", "/api/v1/watch", 404),
        ("GET", "/apis/metrics.k8s.io/v1beta1/watch/nodes", 404),
        ("POST", "/apis/authorization.k8s.io/v1/watch/selfsubjectaccessreviews", 404),
        ("GET", "/api/v1/watch/nodes/node-1?fieldSelector=metadata.name%3Dnode-2", 400),
        ("GET", "/api/v1/watch/nodes?sendInitialEvents=true", 422),
    ],
)
def test_what_a_deprecated_path_does_not_serve(
    server: RestServer, method: str, path: str, status: int
) -> None:
    """Other methods, subresources, kinds without a watch, contradicting selectors."""
    assert send(server, method, path, {} if method == "POST" else None).status == status


# -- media types -----------------------------------------------------------------------------------

UNKNOWN_FORMAT = "the body of the request was in an unknown format - accepted media types include: "


@pytest.mark.parametrize(
    ("method", "path", "listed"),
    [
        ("POST", "namespaces", MEDIA_TYPES),
        ("PUT", "namespaces/default", MEDIA_TYPES),
        ("DELETE", "namespaces/default", MEDIA_TYPES),
        (
            "PATCH",
            "namespaces/default",
            (
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
                "application/apply-patch+yaml",
            ),
        ),
    ],
)
def test_a_body_of_an_unknown_type(
    server: RestServer, method: str, path: str, listed: tuple[str, ...]
) -> None:
    """415 with the accepted types in the order of the real server."""
    reply = send(server, method, f"/api/v1/{path}", {}, content_type="text/xml")
    body = json.loads(reply.body)
    assert (reply.status, body["reason"]) == (415, "UnsupportedMediaType")
    assert body["message"] == UNKNOWN_FORMAT + ", ".join(listed)
    assert "details" not in body


def test_a_page_may_not_post_a_form(server: RestServer) -> None:
    """It needs no preflight of CORS; a client that is no page may leave the type out."""
    form, origin = "application/x-www-form-urlencoded", "http://localhost:8888"
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    refused = send(server, "POST", path, {}, content_type=form, origin=origin)
    assert json.loads(refused.body)["message"] == UNKNOWN_FORMAT + ", ".join(MEDIA_TYPES)
    assert send(server, "POST", path, {}, content_type=form).status == 201
