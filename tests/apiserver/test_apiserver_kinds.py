"""Kinds of the workload groups: names, defaults, and admission at creation."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import (
    a_budget,
    a_job,
    a_node,
    a_pod,
    a_priority,
    a_running_pod,
    a_service,
    a_slice,
    a_workload,
    make_api,
)

from kubesim.apiserver import KubeAPI
from kubesim.errors import Forbidden, Invalid, MethodNotAllowed

NAMES = [
    ("svc", "Service", "v1", True, False),
    ("endpointslices", "EndpointSlice", "discovery.k8s.io/v1", True, False),
    ("rs", "ReplicaSet", "apps/v1", True, True),
    ("deploy", "Deployment", "apps/v1", True, True),
    ("ds", "DaemonSet", "apps/v1", True, False),
    ("jobs", "Job", "batch/v1", True, False),
    ("pc", "PriorityClass", "scheduling.k8s.io/v1", False, False),
    ("pdb", "PodDisruptionBudget", "policy/v1", True, False),
    ("nodes.metrics.k8s.io", "NodeMetrics", "metrics.k8s.io/v1beta1", False, False),
]


@pytest.mark.parametrize(("name", "kind", "version", "namespaced", "scale"), NAMES)
def test_a_kind_is_found_by_its_names(
    api: KubeAPI, name: str, kind: str, version: str, namespaced: bool, scale: bool
) -> None:
    """A kind is found by its short name or plural, with version, scope and scale."""
    result = api.registry.find(name)
    assert (result.kind, result.api_version) == (kind, version)
    assert (result.namespaced, result.scale) == (namespaced, scale)


MANIFESTS = [
    a_service(),
    a_slice(),
    a_workload("ReplicaSet"),
    a_workload("Deployment"),
    a_workload("DaemonSet"),
    a_job(),
    a_priority(),
    a_budget(minAvailable=1),
]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda document: document["kind"])
def test_objects_are_read_back_as_created(api: KubeAPI, manifest: dict[str, Any]) -> None:
    """Also after an update. Fields that the kind does not have are dropped by each write."""
    future = {"field": [1, None, "x"]}
    metadata = {**manifest["metadata"], "future": future}
    created = api.create({**manifest, "metadata": metadata, "future": future})
    name = manifest["metadata"]["name"]
    assert api.get(manifest["kind"], name) == created
    assert "future" not in created
    assert "future" not in created["metadata"]
    assert api.update(created) == created, "defaults are stable: a second pass adds nothing"
    assert api.update({**created, "future": future}) == created
    assert api.patch(manifest["kind"], name, {"future": future}) == created


# -- defaults --------------------------------------------------------------------------------------


def test_a_deployment_rolls_by_a_quarter(api: KubeAPI) -> None:
    """The defaults of apps/v1."""
    spec = api.create(a_workload("Deployment"))["spec"]
    assert spec["replicas"] == 1
    rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    assert spec["template"]["spec"]["restartPolicy"] == "Always"


def test_a_recreating_deployment_has_no_rolling_update(api: KubeAPI) -> None:
    """The parameters of the other strategy get no defaults."""
    spec = api.create(a_workload("Deployment", strategy={"type": "Recreate"}))["spec"]
    assert spec["strategy"] == {"type": "Recreate"}


def test_a_daemonset_replaces_one_at_a_time(api: KubeAPI) -> None:
    """A DaemonSet defaults to maxUnavailable 1 and no surge."""
    spec = api.create(a_workload("DaemonSet"))["spec"]
    assert spec["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    assert spec["revisionHistoryLimit"] == 10


JOB_SIZES = [
    ({}, 1, 1),
    ({"parallelism": 3}, None, 3),
    ({"completions": 5}, 5, 1),
    ({"completions": 5, "parallelism": 2}, 5, 2),
]


@pytest.mark.parametrize(("given", "completions", "parallelism"), JOB_SIZES)
def test_only_an_unsized_job_completes_once(
    api: KubeAPI, given: dict[str, int], completions: int | None, parallelism: int
) -> None:
    """A Job with parallelism only is a work queue: completions stays unset."""
    spec = api.create(a_job(**given))["spec"]
    assert (spec.get("completions"), spec["parallelism"]) == (completions, parallelism)
    assert (spec["backoffLimit"], spec["completionMode"], spec["suspend"]) == (
        6,
        "NonIndexed",
        False,
    )
    assert spec["podReplacementPolicy"] == "TerminatingOrFailed"


def test_a_job_gets_a_selector_of_its_own(api: KubeAPI) -> None:
    """Selector and labels contain the uid, under the old and new label names."""
    job = api.create(a_job())
    uid, labels = job["metadata"]["uid"], job["spec"]["template"]["metadata"]["labels"]
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert labels == {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "pi",
        "controller-uid": uid,
        "job-name": "pi",
    }
    assert job["metadata"]["labels"] == labels


def test_a_job_may_bring_its_own_selector(api: KubeAPI) -> None:
    """With manualSelector the server generates nothing."""
    job = a_job(manualSelector=True, selector={"matchLabels": {"app": "pi"}})
    job["spec"]["template"]["metadata"]["labels"] = {"app": "pi"}
    spec = api.create(job)["spec"]
    assert spec["selector"] == {"matchLabels": {"app": "pi"}}
    assert spec["template"]["metadata"]["labels"] == {"app": "pi"}


# -- Service ---------------------------------------------------------------------------------------


def test_a_service_gets_defaults_and_an_address(api: KubeAPI) -> None:
    """The address is in 10.96.0.0/12, the same for the same seed; targetPort defaults to port."""
    spec = api.create(a_service())["spec"]
    assert (spec["type"], spec["sessionAffinity"]) == ("ClusterIP", "None")
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["clusterIP"].startswith("10.") and 96 <= int(spec["clusterIP"].split(".")[1]) < 112
    again = make_api().create(a_service())["spec"]
    assert again["clusterIP"] == spec["clusterIP"]


@pytest.mark.parametrize(
    ("given", "families", "policy"),
    [
        ({}, ["IPv4", "IPv6"], "RequireDualStack"),
        ({"ipFamilies": ["IPv6"]}, ["IPv6", "IPv4"], "RequireDualStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv4", "IPv6"], "PreferDualStack"),
        ({"ipFamilyPolicy": "SingleStack"}, ["IPv4"], "SingleStack"),
        ({"selector": {"app": "web"}}, ["IPv4"], "SingleStack"),
    ],
    ids=str,
)
def test_a_headless_service_without_selector_has_both_families(
    api: KubeAPI, given: dict[str, Any], families: list[str], policy: str
) -> None:
    """Somebody else writes its endpoints, of whatever family; a second write changes nothing."""
    ports = [{"port": 80}]
    document = {"kind": "Service", "metadata": {"name": "db"}}
    document["spec"] = {"clusterIP": "None", "ports": ports, **given}
    stored = api.create(document)
    assert (stored["spec"]["ipFamilies"], stored["spec"]["ipFamilyPolicy"]) == (families, policy)
    assert api.update(document) == stored


def test_addresses_are_given_once(api: KubeAPI) -> None:
    """All Services have different addresses; an allocated one is refused."""
    new_pod = [api.create(a_service(f"web-{n}"))["spec"]["clusterIP"] for n in range(200)]
    assert len(set(new_pod)) == 200
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        api.create(a_service("thief", clusterIP=new_pod[0]))
    with pytest.raises(Invalid, match="is not in the valid range"):
        api.create(a_service("far", clusterIP="192.168.0.1"))


def test_a_headless_service_has_no_address(api: KubeAPI) -> None:
    """A headless Service keeps clusterIP None and needs no ports."""
    spec = api.create(a_service(clusterIP="None", ports=None))["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"]) == ("None", ["None"])


def test_an_applied_service_keeps_its_address(api: KubeAPI) -> None:
    """An update without clusterIP keeps it; another address is refused."""
    before = api.create(a_service())["spec"]["clusterIP"]
    after = api.update(a_service(ports=[{"port": 81}]))["spec"]
    assert (after["clusterIP"], after["clusterIPs"]) == (before, [before])
    with pytest.raises(Invalid, match="may not change once set"):
        api.update(a_service(clusterIP="10.96.0.77"))


def test_node_ports_are_given_and_kept(api: KubeAPI) -> None:
    """A NodePort Service gets a node port, which an update keeps."""
    port = api.create(a_service(type="NodePort"))["spec"]["ports"][0]["nodePort"]
    assert port in range(30_000, 32_768)
    again = api.update(a_service(type="NodePort"))["spec"]["ports"][0]["nodePort"]
    assert again == port


# -- priority --------------------------------------------------------------------------------------


def test_the_system_classes_are_there_from_the_start(api: KubeAPI) -> None:
    """Two system classes exist with values above those of users."""
    classes = api.list("pc")["items"]
    assert [(pc["metadata"]["name"], pc["value"]) for pc in classes] == [
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
    ]


def test_a_class_becomes_a_number(api: KubeAPI) -> None:
    """spec.priority and the preemption policy come from the class."""
    api.create(a_priority("high", 1000, preemptionPolicy="Never"))
    spec = api.create(a_pod(priorityClassName="high"))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
    plain = api.create(a_pod("plain"))["spec"]
    assert (plain["priority"], plain["preemptionPolicy"]) == (0, "PreemptLowerPriority")


def test_an_unknown_class_is_refused(api: KubeAPI) -> None:
    """The messages are those of the real admission plug-in."""
    with pytest.raises(Forbidden) as refused:
        api.create(a_pod(priorityClassName="hgih"))
    text = 'pods "web" is forbidden: no PriorityClass with name hgih was found'
    assert refused.value.message == text


def test_a_number_beside_a_class_is_refused(api: KubeAPI) -> None:
    """A pod may not set a priority that its class does not give."""
    with pytest.raises(Forbidden, match=r"the integer value of priority \(7\) must not be"):
        api.create(a_pod(priority=7))


def test_a_default_class_counts_for_new_pods(api: KubeAPI) -> None:
    """Existing pods keep their priority in updates; there is one default class at most."""
    old = api.create(a_pod("old"))
    api.create(a_priority("usual", 10, globalDefault=True))
    new = api.create(a_pod("new"))["spec"]
    assert (new["priority"], new["priorityClassName"]) == (10, "usual")
    kept = api.update(a_pod("old"))
    assert kept["spec"] == old["spec"]
    with pytest.raises(Forbidden, match="PriorityClass usual is already marked as default"):
        api.create(a_priority("other", 20, globalDefault=True))


# -- NodeMetrics -----------------------------------------------------------------------------------


def test_a_node_uses_what_its_pods_use(api: KubeAPI) -> None:
    """NodeMetrics are the sum of the newest samples, computed when read; no watch."""
    api.create(a_node("node-1"))
    api.create(a_node("node-2"))
    for name, cpu in (("a", 100), ("b", 250)):
        a_running_pod(api, name, "node-1")
        api.metrics_writer("default", name)(1.0, 1.0, "main", cpu, 1024 * 1024)
    first, second = api.list("NodeMetrics")["items"]
    assert first["usage"] == {"cpu": "350m", "memory": "2048Ki"}
    assert second["usage"]["memory"] == "0Ki"
    assert api.get("nodes.metrics.k8s.io", "node-1")["usage"] == first["usage"]
    assert len(api.snapshot("NodeMetrics")[0]) == 2
    with pytest.raises(MethodNotAllowed):
        api.watch("NodeMetrics")


TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
MINE = {"key": "a", "value": "b", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("taints", "ready", "expected"),
    [
        (None, None, [TAINT]),
        ([MINE], "False", [MINE, TAINT]),
        ([TAINT], "Unknown", [TAINT]),
        ([{**TAINT, "effect": "NoExecute"}], None, [{**TAINT, "effect": "NoExecute"}, TAINT]),
        ([MINE], "True", [MINE]),
    ],
)
def test_a_new_node_is_tainted_until_it_is_ready(
    api: KubeAPI, taints: Any, ready: str | None, expected: list[Any]
) -> None:
    """By admission, at creation alone; a node that is created as Ready needs no taint."""
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    node = {
        "kind": "Node",
        "metadata": {"name": "n"},
        "spec": {} if taints is None else {"taints": taints},
        "status": {"conditions": conditions},
    }
    assert api.create(node)["spec"].get("taints") == expected
    api.patch("Node", "n", {"spec": {"taints": None}})
    assert "taints" not in api.get("Node", "n")["spec"]
