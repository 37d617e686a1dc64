"""The verbs of the Kubernetes API over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kube_http import (
    APPLY,
    DEPLOYMENTS,
    JSON_PATCH,
    MAPS,
    MERGE,
    PODS,
    STRATEGIC,
    TABLE,
    Kube,
    config_map,
    deployment,
    kube,
)

from kubesim import Cluster

pytestmark = pytest.mark.live


@pytest.fixture
def served() -> Iterator[tuple[Cluster, Kube]]:
    """A cluster and a client."""
    with kube() as made:
        yield made


@pytest.fixture
def ask(served: tuple[Cluster, Kube]) -> Kube:
    """The client alone."""
    return served[1]


def test_discovery_says_in_both_forms_what_is_served(ask: Kube) -> None:
    """The legacy documents and the aggregated one come from one table, core first, metrics last."""
    assert ask("GET", "/api").body["versions"] == ["v1"]
    groups = [group["name"] for group in ask("GET", "/apis").body["groups"]]
    assert groups[-1] == "metrics.k8s.io"
    assert "apps" in groups
    names = {entry["name"]: entry for entry in ask("GET", "/api/v1").body["resources"]}
    assert names["pods/eviction"] | {"verbs": []} == {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "kind": "Eviction",
        "verbs": [],
        "group": "policy",
        "version": "v1",
    }
    assert names["pods"]["shortNames"] == ["po"]
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    found = ask("GET", "/apis", Accept=accept)
    assert found.headers["Content-Type"] == accept.partition(",")[0]
    assert [item["metadata"]["name"] for item in found.body["items"]] == groups
    scaling = ask("GET", "/apis/autoscaling").body
    assert [version["version"] for version in scaling["versions"]] == ["v2", "v1"]
    assert ask("GET", "/version").body["gitVersion"].startswith("v1.34.")


def test_an_object_from_creation_to_deletion(ask: Kube) -> None:
    """201, 200, 409 for the same name, 409 for an old version, Status with the uid at the end."""
    made = ask("POST", MAPS, config_map("a", x="1"))
    assert made.status == 201
    again = ask("POST", MAPS, config_map("a"))
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")
    read = ask("GET", f"{MAPS}/a")
    assert read.body == made.body
    changed = ask("PUT", f"{MAPS}/a", {**read.body, "data": {"x": "2"}})
    assert changed.body["data"] == {"x": "2"}
    stale = ask("PUT", f"{MAPS}/a", {**read.body, "data": {"x": "3"}})
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")
    gone = ask("DELETE", f"{MAPS}/a", {"propagationPolicy": "Background"})
    uid = made.body["metadata"]["uid"]
    assert gone.body["status"] == "Success"
    assert gone.body["details"] == {"name": "a", "kind": "configmaps", "uid": uid}
    missing = ask("GET", f"{MAPS}/a")
    assert (missing.status, missing.body["message"]) == (404, 'configmaps "a" not found')


def test_what_becomes_of_dependents_is_asked_in_the_body(ask: Kube) -> None:
    """Foreground and Orphan leave the object with a finalizer for the garbage collector."""
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        ask("POST", MAPS, config_map(policy.lower()))
        ask("DELETE", f"{MAPS}/{policy.lower()}", {"propagationPolicy": policy})
        left = ask("GET", f"{MAPS}/{policy.lower()}").body["metadata"]
        assert left["finalizers"] == [finalizer] and left["deletionTimestamp"]


def test_a_namespace_is_finalized_by_a_subresource(ask: Kube) -> None:
    """The way out for one that waits for ever: its finalizers by PUT, and by PUT alone."""
    home = "/api/v1/namespaces/stuck"
    ask("POST", "/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "stuck"}})
    ask("DELETE", home)
    left = ask("GET", home).body
    assert left["status"]["phase"] == "Terminating"
    assert ask("GET", f"{home}/finalize").status == 405
    emptied = ask("PUT", f"{home}/finalize", {**left, "spec": {"finalizers": []}})
    assert (emptied.status, emptied.body["spec"]) == (200, {})
    assert ask("GET", home).status == 404
    assert ask("PUT", f"{MAPS}/a/finalize", config_map("a")).status == 404


def test_each_kind_of_patch(ask: Kube) -> None:
    """merge, json and strategic; a patch that changes nothing keeps the resourceVersion."""
    ask("POST", DEPLOYMENTS, deployment("web"))
    path = f"{DEPLOYMENTS}/web"
    merged = ask("PATCH", path, {"metadata": {"labels": {"tier": "front"}}}, MERGE).body
    assert merged["metadata"]["labels"] == {"tier": "front"}
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
    assert ask("PATCH", path, operations, JSON_PATCH).body["spec"]["replicas"] == 3
    containers = [{"name": "side", "image": "busybox"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    joined = ask("PATCH", path, patch, STRATEGIC).body
    names = [entry["name"] for entry in joined["spec"]["template"]["spec"]["containers"]]
    assert sorted(names) == ["main", "side"]
    same = ask("PATCH", path, {"spec": {"replicas": 3}}, MERGE).body
    assert same["spec"]["replicas"] == 3
    assert ask("PATCH", path, {}, "application/x-unheard-of").status == 415


def test_a_dry_run_changes_nothing(served: tuple[Cluster, Kube]) -> None:
    """All is done and shown, but no revision is taken."""
    cluster, ask = served
    before = cluster.store.revision
    made = ask("POST", f"{MAPS}?dryRun=All", config_map("dry"))
    assert (made.status, made.body["metadata"]["name"]) == (201, "dry")
    assert ask("GET", f"{MAPS}/dry").status == 404
    refused = ask("POST", f"{MAPS}?dryRun=Some", config_map("dry"))
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    assert cluster.store.revision == before


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", f"{MAPS}?dryRun=foo", "CreateOptions"),
        ("PUT", f"{MAPS}/dry?dryRun=foo", "UpdateOptions"),
        ("PATCH", f"{MAPS}/dry?dryRun=foo", "PatchOptions"),
        ("DELETE", f"{MAPS}/dry?dryRun=foo", "DeleteOptions"),
    ],
)
def test_an_unknown_stage_of_a_dry_run_is_refused_as_upstream_does(
    ask: Kube, method: str, path: str, kind: str
) -> None:
    """By the kind of the request's options, with all stages that the request named."""
    body = config_map("dry") if method in ("POST", "PUT") else {} if method == "PATCH" else None
    rule = 'Unsupported value: ["foo"]: supported values: "All"'
    media = "application/merge-patch+json" if method == "PATCH" else "application/json"
    refused = ask(method, path, body, media)
    assert refused.status == 422
    assert refused.body["message"] == f'{kind}.meta.k8s.io "" is invalid: dryRun: {rule}'
    assert refused.body["details"] == {
        "group": "meta.k8s.io",
        "kind": kind,
        "causes": [{"reason": "FieldValueNotSupported", "message": rule, "field": "dryRun"}],
    }
    both = ask(method, path.replace("=foo", "=All&dryRun=foo"), body, media)
    assert '["All","foo"]: supported' in both.body["message"]


def test_lists_are_selected_and_paged(ask: Kube) -> None:
    """Labels, fields, limit with continue: all pages show one snapshot."""
    for index in range(5):
        document = config_map(f"m{index}")
        document["metadata"]["labels"] = {"even": str(index % 2 == 0).lower()}
        ask("POST", MAPS, document)
    even = ask("GET", f"{MAPS}?labelSelector=even%3Dtrue").body
    assert even["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in even["items"]] == ["m0", "m2", "m4"]
    one = ask("GET", f"{MAPS}?fieldSelector=metadata.name%3Dm3").body
    assert [item["metadata"]["name"] for item in one["items"]] == ["m3"]
    page = ask("GET", f"{MAPS}?limit=2").body
    assert page["metadata"]["remainingItemCount"] == 4  # and the certificate of the namespace
    ask("DELETE", f"{MAPS}/m4")
    names = [item["metadata"]["name"] for item in page["items"]]
    while token := page["metadata"].get("continue"):
        page = ask("GET", f"{MAPS}?limit=2&continue={token}").body
        names += [item["metadata"]["name"] for item in page["items"]]
    assert names == ["kube-root-ca.crt", "m0", "m1", "m2", "m3", "m4"]
    refused = ask("GET", f"{MAPS}?fieldSelector=spec.color%3Dred")
    assert (refused.status, refused.body["message"]) == (
        400,
        '"spec.color" is not a known field selector: only "metadata.name", "metadata.namespace"',
    )


def test_what_a_list_may_say_about_revisions(served: tuple[Cluster, Kube]) -> None:
    """ "0" and none are now, Exact is then, the future is 504, and a contradiction is 422."""
    cluster, ask = served
    old = ask("GET", MAPS).body["metadata"]["resourceVersion"]
    ask("POST", MAPS, config_map("later"))
    exact = ask("GET", f"{MAPS}?resourceVersion={old}&resourceVersionMatch=Exact").body
    assert len(exact["items"]) == 1  # the certificate of the namespace
    fresh = ask("GET", f"{MAPS}?resourceVersion={old}&resourceVersionMatch=NotOlderThan").body
    assert len(fresh["items"]) == 2
    assert len(ask("GET", f"{MAPS}?resourceVersion={old}").body["items"]) == 2
    future = ask("GET", f"{MAPS}?resourceVersion={cluster.store.revision + 100}")
    assert (future.status, future.body["reason"]) == (504, "Timeout")
    assert future.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert ask("GET", f"{MAPS}?resourceVersionMatch=Exact").status == 422
    assert ask("GET", f"{MAPS}?resourceVersion=0&resourceVersionMatch=Exact").status == 422


def test_status_and_scale_are_doors_of_their_own(served: tuple[Cluster, Kube]) -> None:
    """A scale has its own kind; the main object ignores status, and status ignores the rest."""
    _, ask = served
    made = ask("POST", DEPLOYMENTS, deployment("web")).body
    path = f"{DEPLOYMENTS}/web"
    scale = ask("GET", f"{path}/scale").body
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    scale["spec"]["replicas"] = 4
    assert ask("PUT", f"{path}/scale", scale).body["spec"]["replicas"] == 4
    assert ask("PUT", f"{path}/scale", scale).status == 409
    patched = ask("PATCH", f"{path}/scale", {"spec": {"replicas": 5}}, MERGE).body
    assert patched["spec"]["replicas"] == 5
    status = {"replicas": 7}
    document = {**made, "status": status, "metadata": {"name": "web"}, "spec": {"replicas": 9}}
    written = ask("PUT", f"{path}/status", document).body
    assert (written["spec"]["replicas"], written["status"]["replicas"]) == (5, 7)
    assert ask("GET", f"{MAPS}/kube/scale").status == 404


def test_pods_are_bound_evicted_and_their_logs_read(served: tuple[Cluster, Kube]) -> None:
    """binding by both paths, eviction 201, logs with their options."""
    cluster, ask = served
    pod = {
        "metadata": {"name": "mine"},
        "spec": {"schedulerName": "me", "containers": [{"name": "c", "image": "nginx"}]},
    }
    assert ask("POST", PODS, pod).status == 201
    assert ask("GET", f"{PODS}/mine/log").body["message"] == (
        "pod mine does not have a host assigned"
    )
    binding = {"metadata": {"name": "mine"}, "target": {"kind": "Node", "name": "node-1"}}
    assert ask("POST", f"{PODS}/mine/binding", binding).status == 201
    again = ask("POST", "/api/v1/namespaces/default/bindings", binding)
    assert again.status == 409
    cluster.sleep(10)
    log = ask("GET", f"{PODS}/mine/log")
    assert log.headers["Content-Type"] == "text/plain"
    lines = log.body.splitlines()
    assert len(lines) > 3
    assert ask("GET", f"{PODS}/mine/log?tailLines=2").body.splitlines() == lines[-2:]
    stamped = ask("GET", f"{PODS}/mine/log?timestamps=true&tailLines=1").body
    assert stamped.startswith("2025-01-01T00:00:")
    assert stamped.rstrip().endswith(lines[-1])
    assert ask("GET", f"{PODS}/mine/log?limitBytes=5").body == log.body[:5]
    recent = ask("GET", f"{PODS}/mine/log?sinceSeconds=3").body.splitlines()
    assert 0 < len(recent) < len(lines)
    assert ask("GET", f"{PODS}/mine/log?container=no").status == 400
    assert ask("GET", f"{PODS}/none/log").status == 404
    gone = ask("DELETE", f"{PODS}/mine?gracePeriodSeconds=0")
    assert gone.body["metadata"]["name"] == "mine"
    assert ask("GET", f"{PODS}/mine").status == 404


def test_errors_are_statuses_that_kubectl_prints(ask: Kube) -> None:
    """Each has kind, reason, code, and details from which clients make their sentences."""
    missing = ask("GET", f"{DEPLOYMENTS}/none").body
    assert missing["message"] == 'deployments.apps "none" not found'
    assert missing["details"] == {"name": "none", "group": "apps", "kind": "deployments"}
    invalid = ask("POST", PODS, {"metadata": {"name": "UPPER"}, "spec": {}})
    assert (invalid.status, invalid.body["details"]["kind"]) == (422, "Pod")
    assert {cause["field"] for cause in invalid.body["details"]["causes"]} >= {"metadata.name"}
    for path in (
        "/apis/none/v1",
        "/api/v1/nones",
        "/apis/apps/v9/deployments",
        "/apis/apps/v1/x/y",
    ):
        found = ask("GET", path)
        assert (found.status, found.body["reason"]) == (404, "NotFound"), path
        assert found.body["message"] == "the server could not find the requested resource"
    assert ask("POST", "/api/v1/nodes/node-1", {}).body["reason"] == "MethodNotAllowed"
    wrong = ask("POST", MAPS, {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}})
    assert wrong.body["message"].startswith('Pod in version "v1" cannot be handled as a ConfigMap')
    other = ask("POST", MAPS, {"metadata": {"name": "x", "namespace": "elsewhere"}})
    assert "does not match the namespace sent on the request" in other.body["message"]
    named = ask("PUT", f"{MAPS}/a", {"metadata": {"name": "b"}})
    assert named.body["message"] == (
        "the name of the object (b) does not match the name on the URL (a)"
    )
    kept = ask("DELETE", "/api/v1/namespaces/default")
    assert kept.body["message"] == (
        'namespaces "default" is forbidden: this namespace may not be deleted'
    )


def test_a_deprecated_kind_says_so_with_each_request(ask: Kube) -> None:
    """Reads and writes alike, before other warnings."""
    text = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    path = "/api/v1/namespaces/default/endpoints"
    assert ask("GET", path).headers["Warning"] == text
    assert ask("GET", f"{path}/kubernetes").headers["Warning"] == text
    document = {"metadata": {"name": "db"}, "subset": []}
    created = ask("POST", path, document)
    assert created.headers["Warning"] == f'{text}, 299 - "unknown field \\"subset\\""'
    assert ask("DELETE", f"{path}/db").headers["Warning"] == text
    statuses = ask("GET", "/api/v1/componentstatuses")
    assert statuses.headers["Warning"] == '299 - "v1 ComponentStatus is deprecated in v1.19+"'
    assert "Warning" not in ask("GET", "/api/v1/namespaces/default/services").headers


def test_a_deprecated_version_of_a_custom_kind_says_so(ask: Kube) -> None:
    """Requests for it alone are warned, with the version to use."""
    schema = {"schema": {"openAPIV3Schema": {"type": "object"}}}
    definition = {
        "metadata": {"name": "lamps.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"plural": "lamps", "kind": "Lamp"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, **schema},
                {"name": "v1beta1", "served": True, "storage": False, "deprecated": True, **schema},
            ],
        },
    }
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert ask("POST", definitions, definition).status == 201
    warned = ask("GET", "/apis/example.com/v1beta1/lamps").headers["Warning"]
    text = "example.com/v1beta1 Lamp is deprecated; use example.com/v1 Lamp"
    assert warned == f'299 - "{text}"'
    assert "Warning" not in ask("GET", "/apis/example.com/v1/lamps").headers


def test_unknown_fields_are_told_of_or_refused(ask: Kube) -> None:
    """Warn is the default and comes in headers, Strict is 400, Ignore is silent."""
    document = {**deployment("web"), "specc": {}}
    warned = ask("POST", f"{DEPLOYMENTS}?dryRun=All", document)
    assert warned.status == 201
    assert warned.headers["Warning"] == '299 - "unknown field \\"specc\\""'
    strict = ask("POST", f"{DEPLOYMENTS}?dryRun=All&fieldValidation=Strict", document)
    assert (strict.status, strict.body["reason"]) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "specc"' in strict.body["message"]
    twice = b'{"metadata": {"name": "a"}, "data": {"k": "1", "k": "2"}}'
    refused = ask("POST", f"{MAPS}?fieldValidation=Strict", twice)
    assert 'duplicate field "data.k"' in refused.body["message"]
    silent = ask("POST", f"{DEPLOYMENTS}?dryRun=All&fieldValidation=Ignore", document)
    assert "Warning" not in silent.headers
    assert ask("POST", f"{DEPLOYMENTS}?fieldValidation=Maybe", document).status == 422


def test_autoscaling_v1_is_the_same_object(ask: Kube) -> None:
    """What is made as v1 is a v2 object with a CPU metric, and the other way round."""
    path = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"
    made = ask(
        "POST",
        path.format("v1"),
        {
            "kind": "HorizontalPodAutoscaler",
            "apiVersion": "autoscaling/v1",
            "metadata": {"name": "web"},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
                "maxReplicas": 4,
                "targetCPUUtilizationPercentage": 70,
            },
        },
    )
    assert made.status == 201
    assert made.body["spec"]["targetCPUUtilizationPercentage"] == 70
    stored = ask("GET", f"{path.format('v2')}/web").body
    assert stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    changed = ask("PATCH", f"{path.format('v1')}/web", {"spec": {"maxReplicas": 9}}, MERGE).body
    assert changed["spec"]["maxReplicas"] == 9
    listed = ask("GET", path.format("v1")).body
    assert {item["apiVersion"] for item in listed["items"]} == {"autoscaling/v1"}


def test_may_i_and_who_am_i(ask: Kube) -> None:
    """Reviews answer in their status; the only user there is may everything."""
    spec = {"resourceAttributes": {"verb": "delete", "resource": "pods", "namespace": "default"}}
    reply = ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": spec})
    assert (reply.status, reply.body["status"]["allowed"]) == (201, True)
    who = ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}).body
    assert who["status"]["userInfo"]["username"] == "kubernetes-admin"
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    rules = ask("POST", path, {"spec": {"namespace": "default"}}).body
    assert rules["status"]["resourceRules"][0]["verbs"] == ["*"]
    assert ask("POST", path, {}).body["message"] == "no namespace on request"
    empty = ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {}})
    assert empty.status == 422


def test_a_kind_of_ones_own_is_served_like_any_other(served: tuple[Cluster, Kube]) -> None:
    """Discovery, objects and OpenAPI follow its definition, and forget it with it."""
    _, ask = served
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "tabs.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "tabs", "kind": "Tab", "shortNames": ["tb"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert ask("GET", "/apis/example.com/v1").status == 404
    assert ask("POST", crds, definition).status == 201
    (entry,) = ask("GET", "/apis/example.com/v1").body["resources"]
    assert (entry["kind"], entry["shortNames"]) == ("Tab", ["tb"])
    path = "/apis/example.com/v1/namespaces/default/tabs"
    tab = {"kind": "Tab", "apiVersion": "example.com/v1", "metadata": {"name": "a"}, "spec": {}}
    assert ask("POST", path, tab).status == 201
    assert ask("PATCH", f"{path}/a", {"spec": {"n": 1}}, MERGE).body["spec"] == {"n": 1}
    assert ask("PATCH", f"{path}/a", {"spec": {"n": 1}}, STRATEGIC).status == 415
    assert "apis/example.com/v1" in ask("GET", "/openapi/v3").body["paths"]
    assert ask("DELETE", f"{crds}/tabs.example.com").status == 200
    assert ask("GET", path).status == 404


def test_tables_are_what_the_accept_header_asks_for(ask: Kube) -> None:
    """A list and one object as tables, with metadata, whole objects or none in their rows."""
    table = ask("GET", PODS, Accept=TABLE).body
    heads = [(c["name"], c["priority"]) for c in table["columnDefinitions"]]
    assert heads[:5] == [("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0)]
    assert ("Node", 1) in heads
    (row,) = table["rows"]
    assert row["cells"][:3] == ["auto-pod-0", "1/1", "Running"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert "spec" not in row["object"]
    assert table["metadata"]["resourceVersion"]
    one = ask("GET", f"{PODS}/auto-pod-0?includeObject=Object", Accept=TABLE).body
    assert one["rows"][0]["object"]["spec"]["containers"]
    bare = ask("GET", f"{PODS}?includeObject=None", Accept=TABLE).body
    assert bare["rows"][0]["object"] is None
    assert ask("GET", f"{PODS}?includeObject=Some", Accept=TABLE).status == 400
    metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    partial = ask("GET", PODS, Accept=metadata).body
    assert (partial["kind"], set(partial["items"][0])) == (
        "PartialObjectMetadataList",
        {"kind", "apiVersion", "metadata"},
    )
    assert ask("GET", PODS, Accept="text/html").status == 406
    assert ask("GET", PODS, Accept="application/vnd.kubernetes.protobuf").status == 200


def test_many_objects_are_deleted_at_once(ask: Kube) -> None:
    """By label, and never a whole cluster's namespaces."""
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        document = config_map(name)
        document["metadata"]["labels"] = {"color": color}
        ask("POST", MAPS, document)
    gone = ask("DELETE", f"{MAPS}?labelSelector=color%3Dred").body
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "c"]
    left = [item["metadata"]["name"] for item in ask("GET", MAPS).body["items"]]
    assert left == ["b", "kube-root-ca.crt"]
    assert ask("DELETE", "/api/v1/namespaces").status == 405


def test_server_side_apply_over_the_wire(ask: Kube) -> None:
    """201 for a new object, 200 after; 409 for another manager's field unless it is forced."""
    path = f"{MAPS}/a?fieldManager={{}}"
    first = ask("PATCH", path.format("ann"), config_map("a", k="1"), APPLY)
    assert (first.status, first.body["data"]) == (201, {"k": "1"})
    assert first.body["metadata"]["managedFields"][0]["manager"] == "ann"
    assert ask("PATCH", path.format("ann"), config_map("a", k="1"), APPLY).status == 200
    refused = ask("PATCH", path.format("bob"), config_map("a", k="2"), APPLY)
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert refused.body["details"]["causes"][0]["reason"] == "FieldManagerConflict"
    forced = ask("PATCH", f"{path.format('bob')}&force=true", config_map("a", k="2"), APPLY)
    assert forced.body["data"] == {"k": "2"}
    assert ask("PATCH", f"{MAPS}/a", config_map("a"), APPLY).status == 422
    for given, shown in (
        ({"kind": "Deployment", "apiVersion": "apps/v1"}, "apps/v1, Kind=Deployment"),
        ({"kind": "Pod"}, "/v1, Kind=Pod"),
        ({"apiVersion": None}, "/, Kind=ConfigMap"),
    ):
        other = ask("PATCH", path.format("ann"), {**config_map("a"), **given}, APPLY)
        assert (other.status, other.body["message"]) == (400, f"invalid object type: {shown}")


def test_who_wrote_is_the_field_manager_or_the_user_agent(ask: Kube) -> None:
    """fieldManager if it is given, else the User-Agent up to its slash."""
    made = ask("POST", MAPS, config_map("a", of="thing"), User_Agent="thing/1.0 (x)").body
    assert {entry["manager"] for entry in made["metadata"]["managedFields"]} == {"thing"}
    changed = ask("PATCH", f"{MAPS}/a?fieldManager=me", {"data": {"k": "v"}}, MERGE).body
    assert "me" in {entry["manager"] for entry in changed["metadata"]["managedFields"]}


YAML = b"""
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
data:
  at: "12:30"
"""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (YAML, 201),
        (YAML + b"---\n" + YAML, 400),
        (b"a: &x [1]\nb: *x", 400),
        (b"{" * 500, 400),
        (b"[" * 300 + b"]" * 300, 400),
        (b"a: 1\na: 2", 400),
        (b"a: [", 400),
        (b"\xff", 400),
        (b"!!python/object:os.system {}", 400),
        (b"data: {a: !!bool x}", 400),
        (b"data: {a: !!timestamp x}", 400),
        (b"", 400),
        (b"# nothing else\n" + b"#" * 300_000, 413),
    ],
)
def test_bodies_in_yaml_are_read_as_strictly_as_json(ask: Kube, body: bytes, status: int) -> None:
    """One document, without names for its parts, bounded in depth and size."""
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    assert ask("POST", f"{MAPS}?dryRun=All", body, "application/yaml").status == status
    applied = ask("PATCH", f"{MAPS}/a?fieldManager=me", body, APPLY)
    assert applied.status == status


def test_usage_is_found_by_the_labels_of_its_pods(ask: Kube) -> None:
    """kubectl top -l: samples carry their pod's labels when they are asked for by label."""
    path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?labelSelector=app%3D"
    (item,) = ask("GET", f"{path}auto-pod").body["items"]
    assert item["metadata"]["name"] == "auto-pod-0"
    assert item["metadata"]["labels"]["app"] == "auto-pod"
    assert ask("GET", f"{path}other").body["items"] == []


def test_an_eviction_asks_the_budgets(served: tuple[Cluster, Kube]) -> None:
    """429 with the budget as its cause while it is used up; 201 once it allows one."""
    cluster, ask = served
    ask("POST", DEPLOYMENTS, deployment("web", replicas=1))
    budget = {
        "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    ask("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget)
    cluster.sleep(20)
    (pod,) = ask("GET", f"{PODS}?labelSelector=app%3Dweb").body["items"]
    path = f"{PODS}/{pod['metadata']['name']}/eviction"
    eviction = {"metadata": {"name": pod["metadata"]["name"]}}
    refused = ask("POST", path, eviction)
    assert (refused.status, refused.body["reason"]) == (429, "TooManyRequests")
    assert refused.body["message"] == (
        "Cannot evict pod as it would violate the pod's disruption budget."
    )
    assert refused.body["details"]["causes"][0]["reason"] == "DisruptionBudget"
    ask("PATCH", f"{DEPLOYMENTS}/web", {"spec": {"replicas": 2}}, MERGE)
    cluster.sleep(20)
    done = ask("POST", path, eviction)
    assert (done.status, done.body["status"], done.body["code"]) == (201, "Success", 201)
    assert "details" not in done.body


def test_a_page_on_this_machine_may_read_and_nobody_elses(ask: Kube) -> None:
    """CORS: a loopback origin is allowed and named, a preflight answered, others refused."""
    mine = "http://localhost:8888"
    reply = ask("GET", PODS, Origin=mine)
    assert reply.headers["Access-Control-Allow-Origin"] == mine
    reply = ask("OPTIONS", PODS, Origin=mine)
    assert reply.status == 204
    assert "PATCH" in reply.headers["Access-Control-Allow-Methods"]
    assert ask("GET", PODS, Origin="http://evil.example").status == 403


def test_openapi_tells_kubectl_that_the_server_validates(ask: Kube) -> None:
    """v3 is an index of documents; a patch takes fieldValidation."""
    index = ask("GET", "/openapi/v3").body["paths"]
    document = ask("GET", index["apis/apps/v1"]["serverRelativeURL"]).body
    path = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    patch = path["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}
    assert patch["x-kubernetes-group-version-kind"]["kind"] == "Deployment"
    assert STRATEGIC not in patch["requestBody"]["content"]
    parts = document["components"]["schemas"]
    if parts:  # with the API types of Kubernetes at hand
        spec = parts["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"]
        assert spec["description"].startswith("Number of desired pods")
    again = ask("GET", "/openapi/v3").body["paths"]
    assert again == index
