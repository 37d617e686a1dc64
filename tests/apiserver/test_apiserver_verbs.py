"""create, get, update, update_status, bind and scale: what each writes and what it leaves alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_builders import (
    a_config_map,
    a_node,
    a_pod,
    a_service,
    a_statefulset,
    an_hpa,
    labelled,
    make_api,
)

from kubesim.apiserver import Kind, KubeAPI
from kubesim.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    FrozenDocument,
    Invalid,
    MethodNotAllowed,
    NotFound,
)

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


# -- create ---


def test_create_fills_in_what_the_server_knows(api: KubeAPI) -> None:
    """uid, times, revision, generation, namespace; and what the client says of these is ignored."""
    api.clock.sleep(90)
    pod = a_pod()
    pod["metadata"].update(
        uid="mine",
        generation=7,
        creationTimestamp="1999-01-01T00:00:00Z",
        deletionTimestamp="1999-01-01T00:00:00Z",
    )
    pod["status"] = {"phase": "Running"}
    made = api.create(pod)
    metadata = made["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["creationTimestamp"] == "2025-01-01T00:01:30Z"
    assert UUID4.fullmatch(metadata["uid"])
    assert metadata["generation"] == 1
    assert metadata["resourceVersion"] == str(api.store.revision)
    assert "deletionTimestamp" not in metadata
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert pod["metadata"]["uid"] == "mine", "the caller's document is not changed"
    assert api.get("Pod", "web") == made


def test_what_a_verb_returns_is_the_caller_s_own(api: KubeAPI) -> None:
    """Changing an answer changes nothing in the store; peek hands out what nobody can change."""
    made = api.create(a_pod())
    made["spec"]["containers"][0]["image"] = "evil"
    api.get("Pod", "web")["spec"]["containers"].clear()
    api.list("Pod")["items"][0]["spec"].clear()
    assert api.get("Pod", "web")["spec"]["containers"][0]["image"] == "nginx:1.27"
    peeked = api.peek("Pod", "web")
    assert peeked is api.peek("po", "web"), "no copy"
    with pytest.raises(FrozenDocument):
        peeked["spec"]["containers"].append({})
    assert api.peek("Pod", "other") is None


def test_a_name_can_be_used_once(api: KubeAPI) -> None:
    """The second creation is told that the name is taken, in the API server's words."""
    api.create(a_pod())
    with pytest.raises(AlreadyExists) as refused:
        api.create(a_pod())
    assert refused.value.message == 'pods "web" already exists'
    assert refused.value.status()["details"] == {"name": "web", "kind": "pods"}
    api.create(a_statefulset())
    with pytest.raises(AlreadyExists) as refused:
        api.create(a_statefulset())
    assert refused.value.message == 'statefulsets.apps "db" already exists'
    details = refused.value.status()["details"]
    assert details == {"name": "db", "group": "apps", "kind": "statefulsets"}


def test_generated_names(api: KubeAPI) -> None:
    """The base and five signs; a long base is cut so that a label still holds the name."""
    pod = a_pod()
    del pod["metadata"]["name"]
    pod["metadata"]["generateName"] = "web-"
    names = {api.create(pod)["metadata"]["name"] for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)
    pod["metadata"]["generateName"] = "a" * 100
    assert len(api.create(pod)["metadata"]["name"]) == 63


def test_a_generated_name_that_is_taken_is_drawn_again() -> None:
    """The same seed draws the same first suffix, so the second server has to draw twice."""
    pod = a_pod()
    pod["metadata"] = {"generateName": "web-"}
    taken = make_api(seed=5).create(pod)["metadata"]["name"]
    api = make_api(seed=5)
    api.create(a_pod(taken))
    assert api.create(pod)["metadata"]["name"] != taken


def test_the_same_seed_gives_the_same_uids() -> None:
    """Uids come from the seed; those of one kind do not depend on how many others were made."""
    plain, busy = make_api(seed=3), make_api(seed=3)
    for number in range(5):
        busy.create(a_config_map(f"c-{number}"))
    uid = plain.create(a_pod())["metadata"]["uid"]
    assert busy.create(a_pod())["metadata"]["uid"] == uid
    assert make_api(seed=4).create(a_pod())["metadata"]["uid"] != uid


def test_the_namespace_must_be_there(api: KubeAPI) -> None:
    """Four are from the start; in any other a creation is refused until it was made."""
    assert [
        name
        for name in ("default", "kube-system", "kube-node-lease", "kube-public")
        if api.peek("Namespace", name) is None
    ] == []
    pod = a_pod()
    with pytest.raises(NotFound) as refused:
        api.create(pod, namespace="shop")
    assert refused.value.message == 'namespaces "shop" not found'
    api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
    assert api.create(pod, namespace="shop")["metadata"]["namespace"] == "shop"
    assert api.get("Namespace", "shop")["status"] == {"phase": "Active"}
    pod["metadata"]["namespace"] = "default"
    with pytest.raises(BadRequest, match="does not match the namespace sent on the request"):
        api.create(pod, namespace="shop")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "'Kind' is missing"),
        ({"kind": ""}, "'Kind' is missing"),
        ([], "'Kind' is missing"),
        ({"kind": "Pod", "apiVersion": "v2"}, 'no matches for kind "Pod" in version "v2"'),
        ({"kind": "Pod", "metadata": []}, "metadata must be an object"),
    ],
)
def test_documents_that_are_no_objects(api: KubeAPI, document: Any, said: str) -> None:
    """Refused before anything else is looked at."""
    with pytest.raises(BadRequest, match=re.escape(said)):
        api.create(document)


def test_an_unknown_kind_lists_those_that_exist(api: KubeAPI) -> None:
    """The hint helps with typing errors."""
    with pytest.raises(NotFound, match=r"doesn't have a resource type .*Pod"):
        api.create({"kind": "Pot", "metadata": {"name": "x"}})
    with pytest.raises(NotFound):
        api.get("pot", "x")


def test_a_new_object_has_no_revision_yet(api: KubeAPI) -> None:
    """resourceVersion is what the server gives; 0 and the empty text mean none."""
    pod = a_pod()
    pod["metadata"]["resourceVersion"] = "4"
    with pytest.raises(BadRequest, match="resourceVersion should not be set") as refused:
        api.create(pod)
    assert refused.value.code == 400
    pod["metadata"]["resourceVersion"] = "0"
    api.create(pod)


def test_not_found_names_what_is_there(api: KubeAPI) -> None:
    """The message is Kubernetes'; the hint is ours."""
    for number in range(7):
        api.create(a_pod(f"web-{number}"))
    with pytest.raises(NotFound) as refused:
        api.get("Pod", "wbe-1")
    assert refused.value.message == 'pods "wbe-1" not found'
    assert refused.value.hint == (
        "existing: web-0, web-1, web-2, web-3, web-4, ... in namespace default"
    )


def test_a_dry_run_changes_nothing(api: KubeAPI) -> None:
    """It goes all the way but for the store: defaults, rules, taken names."""
    before = api.store.revision
    shown = api.create(a_pod(), dry_run=True)
    assert shown["spec"]["restartPolicy"] == "Always" and shown["metadata"]["uid"]
    with pytest.raises(Invalid):
        api.create(a_pod("UPPER"), dry_run=True)
    assert api.store.revision == before
    made = api.create(a_pod())
    with pytest.raises(AlreadyExists):
        api.create(a_pod(), dry_run=True)
    labelled(made, app="web")
    assert api.update(made, dry_run=True)["metadata"]["labels"] == {"app": "web"}
    assert api.patch("Pod", "web", {"metadata": {"labels": {"a": "b"}}}, dry_run=True)["metadata"][
        "labels"
    ] == {"a": "b"}
    assert "deletionTimestamp" not in api.delete("Pod", "web", dry_run=True)["metadata"]
    assert "labels" not in api.get("Pod", "web")["metadata"]


def test_what_json_has_no_word_for_is_refused(api: KubeAPI) -> None:
    """A Python set or NaN in a document is a BadRequest and not a crash."""
    for value in ({1, 2}, float("nan"), object()):
        revision = {"kind": "ControllerRevision", "metadata": {"name": "r"}, "revision": 1}
        with pytest.raises(BadRequest, match="not valid JSON"):
            api.create(revision | {"data": {"a": value}})


# -- update ---


def test_update_is_a_compare_and_set(api: KubeAPI) -> None:
    """A stale resourceVersion is a Conflict in upstream's words; without one, the last wins."""
    first = api.create(a_statefulset())
    second = {**first, "spec": {**first["spec"], "replicas": 3}}
    api.update(second)
    with pytest.raises(Conflict) as refused:
        api.update(first)
    assert refused.value.message == (
        'Operation cannot be fulfilled on statefulsets.apps "db": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    del first["metadata"]["resourceVersion"]
    assert api.update(first)["spec"]["replicas"] == 1
    with pytest.raises(NotFound):
        api.update(a_statefulset("other"))


def test_update_leaves_status_and_server_fields_alone(api: KubeAPI) -> None:
    """Spec writes ignore status; uid and times cannot be set; a wrong uid is a Conflict."""
    api.create(a_statefulset())
    status = a_statefulset()
    status["status"] = {"replicas": 2}
    api.update_status(status)
    old = api.get("StatefulSet", "db")
    new = a_statefulset(replicas=4)
    new["status"] = {"replicas": 99}
    new["metadata"].update(
        creationTimestamp="1999-01-01T00:00:00Z",
        deletionTimestamp="1999-01-01T00:00:00Z",
        generation=50,
    )
    updated = api.update(new)
    assert updated["status"] == {"replicas": 2, "availableReplicas": 0}
    assert updated["metadata"]["creationTimestamp"] == old["metadata"]["creationTimestamp"]
    assert updated["metadata"]["uid"] == old["metadata"]["uid"]
    assert "deletionTimestamp" not in updated["metadata"]
    assert updated["metadata"]["generation"] == 2
    new["metadata"]["uid"] = "somebody-else"
    with pytest.raises(Conflict, match="Precondition failed: UID"):
        api.update(new)


def test_generation_counts_the_changes_of_spec_alone(api: KubeAPI) -> None:
    """Labels and status leave it; defaults that are filled in again are no change."""
    workload = api.create(a_statefulset())
    assert workload["metadata"]["generation"] == 1
    labelled(workload, team="a")
    workload = api.update(workload)
    assert workload["metadata"]["generation"] == 1
    workload["status"] = {"replicas": 1}
    workload = api.update_status(workload)
    assert workload["metadata"]["generation"] == 1
    again = labelled(a_statefulset(), team="a")
    assert api.update(again)["metadata"]["generation"] == 1
    assert api.update(labelled(a_statefulset(replicas=2), team="a"))["metadata"]["generation"] == 2
    assert api.update_scale("sts", "db", replicas=3)["spec"]["replicas"] == 3
    assert api.get("StatefulSet", "db")["metadata"]["generation"] == 3
    assert "generation" not in api.create(a_node())["metadata"]


def test_a_write_that_changes_nothing_takes_no_revision(api: KubeAPI) -> None:
    """The same resourceVersion comes back and no watcher wakes."""
    api.create(a_statefulset())
    made = api.update_status({**a_statefulset(), "status": {"replicas": 1}})
    watch = api.watch("StatefulSet")
    before = api.store.revision
    assert api.update(a_statefulset()) == made
    assert api.update_status(made) == made
    assert api.patch("sts", "db", {"spec": {"replicas": 1}}) == made
    assert api.update_scale("sts", "db", replicas=1)["metadata"]["resourceVersion"] == str(before)
    assert api.store.revision == before
    assert watch.poll() == []


def test_update_status_writes_status_alone(api: KubeAPI) -> None:
    """Everything else that comes with it is ignored, and the unchanged parts are shared."""
    made = api.create(a_pod())
    before = api.peek("Pod", "web")
    made["spec"]["nodeName"] = "smuggled"
    made["metadata"]["labels"] = {"smuggled": "yes"}
    made["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    written = api.update_status(made)
    assert written["status"] == made["status"]
    assert "nodeName" not in written["spec"] and "labels" not in written["metadata"]
    assert api.peek("Pod", "web")["spec"] is before["spec"]
    with pytest.raises(Conflict):
        api.update_status({**made, "status": {"phase": "Failed"}})
    with pytest.raises(BadRequest, match=r"of type v1\.PodStatus"):
        api.update_status({**written, "status": "Running"})
    api.create(a_config_map())
    with pytest.raises(NotFound, match="could not find the requested resource"):
        api.update_status(a_config_map())


def test_a_node_comes_with_its_status(api: KubeAPI) -> None:
    """A kubelet registers node and status together; allocatable is the capacity by default."""
    node = api.create(a_node())
    assert node["status"]["allocatable"] == {"cpu": "4", "memory": "8Gi", "pods": "110"}
    node["status"]["capacity"]["cpu"] = "many"
    with pytest.raises(BadRequest, match="cannot be handled as a Node: quantities must match"):
        api.update_status(node)
    node["spec"]["unschedulable"] = True
    node["status"]["capacity"]["cpu"] = "8"
    updated = api.update(node)
    assert updated["spec"]["unschedulable"] is True
    assert updated["status"]["capacity"]["cpu"] == "4", "a spec write ignores status"


# -- bind and scale ---


def test_binding_gives_a_pod_its_node_once(api: KubeAPI) -> None:
    """spec.nodeName and PodScheduled; a second binding is a Conflict that names the node."""
    pod = api.create(a_pod())
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pod["status"]["conditions"] = [unschedulable]
    api.update_status(pod)
    api.clock.sleep(5)
    api.bind("web", "default", "node-1")
    bound = api.get("Pod", "web")
    assert bound["spec"]["nodeName"] == "node-1"
    assert bound["status"]["phase"] == "Pending"
    assert bound["status"]["conditions"] == [
        {
            "type": "PodScheduled",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": "2025-01-01T00:00:05Z",
        }
    ]
    with pytest.raises(Conflict) as refused:
        api.bind("web", "default", "node-2")
    assert refused.value.message == (
        'Operation cannot be fulfilled on pods/binding "web": '
        'pod web is already assigned to node "node-1"'
    )
    with pytest.raises(NotFound):
        api.bind("other", "default", "node-1")
    api.create(a_pod("two"))
    with pytest.raises(Invalid, match=r"target.name: Required value"):
        api.bind("two", "default", "")


def test_a_pod_that_is_being_deleted_gets_no_node(api: KubeAPI) -> None:
    """Kept by a finalizer, marked, and not bindable any more."""
    pod = a_pod()
    pod["metadata"]["finalizers"] = ["example.com/keep"]
    api.create(pod)
    api.delete("Pod", "web")
    with pytest.raises(Conflict, match="is being deleted, cannot be assigned to a host"):
        api.bind("web", "default", "node-1")


def test_scale_reads_and_writes_the_size_alone(api: KubeAPI) -> None:
    """An autoscaling/v1 Scale; with a resourceVersion it is a compare-and-set."""
    made = api.create(a_statefulset(replicas=2))
    scale = api.get_scale("StatefulSet", "db")
    assert scale == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            key: made["metadata"][key]
            for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        },
        "spec": {"replicas": 2},
        "status": {"replicas": 0, "selector": "app=db"},
    }
    stale = scale["metadata"]["resourceVersion"]
    assert api.update_scale("sts", "db", replicas=5, resource_version=stale)["spec"] == {
        "replicas": 5
    }
    with pytest.raises(Conflict):
        api.update_scale("sts", "db", replicas=6, resource_version=stale)
    assert api.update_scale("sts", "db", replicas=9, dry_run=True)["spec"]["replicas"] == 9
    assert api.get("sts", "db")["spec"]["replicas"] == 5
    patched = api.patch("sts", "db", {"spec": {"replicas": 7}}, subresource="scale")
    assert patched["kind"] == "Scale" and patched["spec"]["replicas"] == 7
    assert api.get("sts", "db")["spec"] == {**made["spec"], "replicas": 7}


@pytest.mark.parametrize("replicas", [-1, "3", 2.5, True, None, 2**31])
def test_a_size_is_a_whole_number(api: KubeAPI, replicas: Any) -> None:
    """Refused with a cause for the field."""
    api.create(a_statefulset())
    with pytest.raises(Invalid, match=r'Scale.autoscaling "db" is invalid: spec.replicas') as no:
        api.update_scale("sts", "db", replicas=replicas)
    assert [cause.field for cause in no.value.causes] == ["spec.replicas"]
    assert api.get("sts", "db")["spec"]["replicas"] == 1


def test_only_workloads_have_a_scale(api: KubeAPI) -> None:
    """A pod has no size."""
    api.create(a_pod())
    with pytest.raises(MethodNotAllowed):
        api.get_scale("Pod", "web")
    with pytest.raises(NotFound):
        api.get_scale("sts", "db")


# -- kinds ---


def test_a_kind_of_one_s_own(api: KubeAPI) -> None:
    """One registration, and every verb works; names that mean another kind already are kept."""
    api.registry.register(
        Kind("Crontab", "crontabs", group="example.com", short_names=("ct", "po"))
    )
    document = {
        "apiVersion": "example.com/v1",
        "kind": "Crontab",
        "metadata": {"name": "nightly"},
        "spec": {"cron": "0 2 * * *"},
    }
    made = api.create(document)
    assert api.get("ct", "nightly") == api.get("crontabs.example.com", "nightly") == made
    assert api.registry.find("po").kind == "Pod"
    assert api.store.get("/registry/example.com/crontabs/default/nightly") is not None
    for kind in (Kind("Crontab", "others", group="example.com"), Kind("Other", "pods")):
        with pytest.raises(AlreadyExists):
            api.registry.register(kind)


@pytest.mark.parametrize(
    ("names", "kind", "key"),
    [
        (("Pod", "pod", "pods", "po", "PODS"), "Pod", "/registry/pods/default/x"),
        (("sts", "statefulsets.apps"), "StatefulSet", "/registry/apps/statefulsets/default/x"),
        (
            ("hpa",),
            "HorizontalPodAutoscaler",
            "/registry/autoscaling/horizontalpodautoscalers/default/x",
        ),
        (("no", "nodes"), "Node", "/registry/nodes/x"),
        (("ns",), "Namespace", "/registry/namespaces/x"),
        (("leases",), "Lease", "/registry/coordination.k8s.io/leases/default/x"),
        (
            ("podmetrics", "pods.metrics.k8s.io"),
            "PodMetrics",
            "/registry/metrics.k8s.io/pods/default/x",
        ),
    ],
)
def test_names_and_keys_of_the_kinds(
    api: KubeAPI, names: tuple[str, ...], kind: str, key: str
) -> None:
    """Kind, plural, short name, plural.group, in any case; and where objects stand."""
    for name in names:
        assert api.registry.find(name).kind == kind
    assert api.registry.find(names[0]).key("default", "x") == key


def test_hpas_start_without_status(api: KubeAPI) -> None:
    """A status that the client sends on creation is dropped."""
    hpa = an_hpa()
    hpa["status"] = {"currentReplicas": 5}
    assert "currentReplicas" not in api.create(hpa).get("status", {})


def test_a_dry_run_leaves_no_trace() -> None:
    """Neither in the store nor in the randomness: what follows is as if it had not been."""
    plain, tried = make_api(), make_api()
    generated = {"kind": "ConfigMap", "metadata": {"generateName": "a-"}}
    previews = [tried.create(generated, dry_run=True) for _ in range(3)]
    tried.create(a_service(), dry_run=True)
    for document in (generated, a_service()):
        assert tried.create(document) == plain.create(document)
    assert len({preview["metadata"]["uid"] for preview in previews}) == 1
    assert tried.store.revision == plain.store.revision
