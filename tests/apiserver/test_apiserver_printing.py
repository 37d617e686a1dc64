"""What `kubectl get` shows: columns, cells and ages of every kind."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_builders import a_config_map, a_job, a_node, a_pod, a_service, a_workload, an_hpa

from kubesim.apiserver import Kind, KubeAPI, default_registry, printers
from kubesim.apiserver.printers.ages import human_duration
from kubesim.apiserver.printers.table import cells, columns, table_for
from kubesim.apiserver.schema import data
from kubesim.clock import VirtualClock
from kubesim.cluster import Cluster
from kubesim.errors import MethodNotAllowed

CLOCK = VirtualClock()
NOW = 1_000.0
REGISTRY = default_registry()

AGES = [
    (-5, "<invalid>"),
    (-1, "0s"),
    (0, "0s"),
    (119, "119s"),
    (120, "2m"),
    (245, "4m5s"),
    (599, "9m59s"),
    (600, "10m"),
    (4_500, "75m"),
    (10_800, "3h"),
    (18_720, "5h12m"),
    (28_800, "8h"),
    (108_000, "30h"),
    (172_800, "2d"),
    (273_600, "3d4h"),
    (691_200, "8d"),
    (1_036_800, "12d"),
    (63_072_000, "2y"),
    (63_158_400, "2y1d"),
    (315_360_000, "10y"),
]


@pytest.mark.parametrize(("seconds", "text"), AGES)
def test_ages(seconds: float, text: str) -> None:
    """Small units for young objects, larger ones for old objects."""
    assert human_duration(seconds) == text


COLUMNS = {
    "Pod": "Name Ready Status Restarts Age IP* Node* Nominated_Node* Readiness_Gates*",
    "Node": "Name Status Roles Age Version Internal-IP* External-IP* OS-Image* Kernel-Version* "
    "Container-Runtime*",
    "Deployment": "Name Ready Up-to-date:i Available:i Age Containers* Images* Selector*",
    "ReplicaSet": "Name Desired:i Current:i Ready:i Age Containers* Images* Selector*",
    "HorizontalPodAutoscaler": "Name Reference Targets MinPods MaxPods:i Replicas Age",
    "Event": "Last_Seen Type Reason Object Subobject* Source* Message First_Seen* Count*:i Name*",
    "Service": "Name Type Cluster-IP External-IP Port(s) Age Selector*",
    "Namespace": "Name Status Age",
    "ConfigMap": "Name Data Age",
    "LimitRange": "Name Created_At",
    "StatefulSet": "Name Ready Age Containers* Images*",
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns(kind: str) -> None:
    """Names, types and priorities; the name column is marked as such."""
    result = columns(REGISTRY.find(kind))
    texts = [
        item["name"].replace(" ", "_")
        + ("*" if item["priority"] else "")
        + (":i" if item["type"] == "integer" else "")
        for item in result
    ]
    assert " ".join(texts) == COLUMNS[kind]
    assert [item["format"] for item in result if item["name"] == "Name"] == ["name"]


@pytest.mark.parametrize("kind", [kind.kind for kind in REGISTRY.kinds()])
def test_every_row_has_a_cell_for_each_column(kind: str) -> None:
    """Cells have their column's type, even for nearly empty objects."""
    result = REGISTRY.find(kind)
    empty = {"kind": kind, "metadata": {"name": "a"}, "spec": {}, "status": {}}
    for document in (empty, {"kind": kind, "metadata": {}}):
        row = cells(result, document, CLOCK, NOW)
        assert len(row) == len(columns(result))
        for item, cell in zip(columns(result), row, strict=True):
            wanted = {"integer": int, "boolean": bool}.get(item["type"], (str, type(None)))
            assert isinstance(cell, wanted), item["name"]


def row(kind: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of an object by column name."""
    result = REGISTRY.find(kind)
    names = [item["name"] for item in columns(result)]
    return dict(zip(names, cells(result, document, CLOCK, NOW), strict=True))


# -- pods ------------------------------------------------------------------------------------------


def container(name: str = "main", ready: bool = False, restarts: int = 0, **state: Any) -> Any:
    result: dict[str, Any] = {"name": name, "ready": ready, "restartCount": restarts}
    return {**result, "state": state or {"running": {}}}


def pod(phase: str = "Running", *statuses: Any, **more: Any) -> dict[str, Any]:
    new = a_pod(containers=[{"name": s["name"]} for s in statuses] or [{"name": "main"}])
    new["metadata"]["creationTimestamp"] = CLOCK.timestamp(NOW - 90)
    new["status"] = {"phase": phase, "containerStatuses": list(statuses), **more}
    return new


def ended(code: int, reason: str = "", **more: Any) -> dict[str, Any]:
    return {"exitCode": code, **({"reason": reason} if reason else {}), **more}


READY = [{"type": "Ready", "status": "True"}]
PODS = [
    (pod("Pending"), "0/1", "Pending", "0"),
    (pod("Running", container(ready=True)), "1/1", "Running", "0"),
    (
        pod("Running", container(waiting={"reason": "CrashLoopBackOff"}, restarts=3)),
        "0/1",
        "CrashLoopBackOff",
        "3",
    ),
    (
        pod("Pending", container(waiting={"reason": "ContainerCreating"})),
        "0/1",
        "ContainerCreating",
        "0",
    ),
    (pod("Succeeded", container(terminated=ended(0, "Completed"))), "0/1", "Completed", "0"),
    (pod("Failed", container(terminated=ended(2))), "0/1", "ExitCode:2", "0"),
    (pod("Failed", container(terminated=ended(0, signal=9))), "0/1", "Signal:9", "0"),
    (pod("Failed", reason="Evicted"), "0/1", "Evicted", "0"),
    (
        pod(
            "Running",
            container("a", True),
            container("b", terminated=ended(0, "Completed")),
            conditions=READY,
        ),
        "1/2",
        "Running",
        "0",
    ),
    (
        pod("Running", container("a", True), container("b", terminated=ended(0, "Completed"))),
        "1/2",
        "NotReady",
        "0",
    ),
    (
        pod(
            "Pending",
            conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
        ),
        "0/1",
        "SchedulingGated",
        "0",
    ),
]


@pytest.mark.parametrize(("document", "ready", "status", "restarts"), PODS)
def test_what_a_pod_is_about(
    document: dict[str, Any], ready: str, status: str, restarts: str
) -> None:
    """Ready, Status and Restarts, as kubectl shows them."""
    result = row("Pod", document)
    assert (result["Ready"], result["Status"], result["Restarts"]) == (ready, status, restarts)
    assert result["Age"] == "90s"


INIT = [{"name": "i1"}, {"name": "i2"}]
STARTS = [
    ([container("i1", terminated=ended(0)), container("i2")], "Init:1/2"),
    ([container("i1", terminated=ended(1, "Error"))], "Init:Error"),
    ([container("i1", terminated=ended(7))], "Init:ExitCode:7"),
    ([container("i1", waiting={"reason": "ErrImagePull"})], "Init:ErrImagePull"),
    ([container("i1", waiting={"reason": "PodInitializing"})], "Init:0/2"),
]


@pytest.mark.parametrize(("statuses", "status"), STARTS)
def test_a_pod_that_initializes(statuses: list[Any], status: str) -> None:
    """The state of init containers takes precedence."""
    document = pod("Pending", initContainerStatuses=statuses)
    document["spec"]["initContainers"] = INIT
    assert row("Pod", document)["Status"] == status


def test_sidecars_count_among_the_containers() -> None:
    """A sidecar counts as a container."""
    sidecar = {**container("side", True), "started": True}
    document = pod("Running", container(ready=True), initContainerStatuses=[sidecar])
    document["spec"]["initContainers"] = [{"name": "side", "restartPolicy": "Always"}]
    result = row("Pod", document)
    assert (result["Ready"], result["Status"]) == ("2/2", "Running")


def test_terminating_and_lost_pods() -> None:
    """A deleted pod is Terminating unless it is finished; a lost node shows as Unknown."""
    document = pod("Running", container(ready=True))
    document["metadata"]["deletionTimestamp"] = CLOCK.timestamp(NOW)
    assert row("Pod", document)["Status"] == "Terminating"
    document["status"]["phase"] = "Succeeded"
    assert row("Pod", document)["Status"] == "Succeeded"
    document["status"] = {"phase": "Running", "reason": "NodeLost"}
    assert row("Pod", document)["Status"] == "Unknown"


def test_restarts_say_when_the_last_one_was() -> None:
    """The time of the last restart is shown if it is known."""
    status = container(ready=True, restarts=3)
    status["lastState"] = {"terminated": {"finishedAt": CLOCK.timestamp(NOW - 300)}}
    assert row("Pod", pod("Running", status))["Restarts"] == "3 (5m ago)"


def test_wide_cells_of_a_pod() -> None:
    """Wide cells: address, node, nominated node and gates, or `<none>`."""
    document = pod("Running", container(ready=True))
    result = row("Pod", document)
    wide = ("IP", "Node", "Nominated Node", "Readiness Gates")
    assert [result[name] for name in wide] == ["<none>"] * 4
    document["spec"] |= {"nodeName": "node-1", "readinessGates": [{"conditionType": "a/b"}]}
    document["status"] |= {"podIPs": [{"ip": "10.0.0.1"}], "nominatedNodeName": "node-2"}
    result = row("Pod", document)
    assert [result[name] for name in wide] == ["10.0.0.1", "node-1", "node-2", "0/1"]


# -- the others ------------------------------------------------------------------------------------


def test_nodes() -> None:
    """Status from the Ready condition and cordons, roles from labels."""
    node = a_node()
    assert row("Node", node)["Status"] == "Unknown"
    node["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    assert row("Node", node)["Status"] == "NotReady"
    node["status"]["conditions"] = READY
    node["spec"] = {"unschedulable": True}
    node["metadata"]["labels"] = {
        "node-role.kubernetes.io/worker": "",
        "node-role.kubernetes.io/control-plane": "",
    }
    node["status"]["addresses"] = [{"type": "InternalIP", "address": "10.0.0.1"}]
    node["status"]["nodeInfo"] = {"kubeletVersion": "v1.34.0"}
    result = row("Node", node)
    assert result["Status"] == "Ready,SchedulingDisabled"
    assert result["Roles"] == "control-plane,worker"
    assert (result["Version"], result["Internal-IP"], result["External-IP"]) == (
        "v1.34.0",
        "10.0.0.1",
        "<none>",
    )
    assert result["OS-Image"] == "<unknown>"


def test_workloads() -> None:
    """Counts, and the containers, images and selector of the template."""
    deployment = a_workload("Deployment", replicas=3)
    deployment["status"] = {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}
    result = row("Deployment", deployment)
    assert (result["Ready"], result["Up-to-date"], result["Available"]) == ("2/3", 3, 1)
    assert (result["Containers"], result["Images"]) == ("main", "nginx:1.27")
    assert result["Selector"] == "app=web"
    result = row("ReplicaSet", a_workload("ReplicaSet", replicas=3))
    assert (result["Desired"], result["Current"], result["Ready"]) == (3, 0, 0)
    daemons = a_workload("DaemonSet")
    daemons["status"] = {"desiredNumberScheduled": 3, "numberReady": 1}
    result = row("DaemonSet", daemons)
    assert (result["Desired"], result["Ready"], result["Node Selector"]) == (3, 1, "<none>")


JOBS = [
    ({"completions": 3}, {"succeeded": 1}, "1/3", "Running"),
    ({}, {}, "0/1", "Running"),
    ({"parallelism": 2}, {}, "0/1 of 2", "Running"),
    (
        {"completions": 1},
        {"conditions": [{"type": "Complete", "status": "True"}]},
        "0/1",
        "Complete",
    ),
    ({"completions": 1}, {"conditions": [{"type": "Failed", "status": "True"}]}, "0/1", "Failed"),
    (
        {"completions": 1},
        {"conditions": [{"type": "Suspended", "status": "True"}]},
        "0/1",
        "Suspended",
    ),
]


@pytest.mark.parametrize(("spec", "status", "completions", "message"), JOBS)
def test_jobs(spec: Any, status: Any, completions: str, message: str) -> None:
    """Completions, duration and status of a Job."""
    job = a_job(**spec)
    job["status"] = {**status, "startTime": CLOCK.timestamp(NOW - 75)}
    result = row("Job", job)
    assert (result["Completions"], result["Status"], result["Duration"]) == (
        completions,
        message,
        "75s",
    )


CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}
MEMORY = {
    "type": "Resource",
    "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
}
RPS = {
    "type": "Pods",
    "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}},
}
QUEUE = {
    "type": "External",
    "external": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "30"}},
}
HITS = {
    "type": "Object",
    "object": {"metric": {"name": "h"}, "target": {"type": "Value", "value": "2k"}},
}
NOW_CPU = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 10}}}
TARGETS = [
    ([], [], "<none>"),
    ([CPU], [], "cpu: <unknown>/50%"),
    ([CPU], [NOW_CPU], "cpu: 10%/50%"),
    ([MEMORY], [], "memory: <unknown>/1Gi"),
    ([RPS], [], "<unknown>/10"),
    ([QUEUE, HITS], [], "<unknown>/30 (avg), <unknown>/2k"),
    ([CPU, RPS, QUEUE], [NOW_CPU], "cpu: 10%/50%, <unknown>/10 + 1 more..."),
]


@pytest.mark.parametrize(("metrics", "current", "text"), TARGETS)
def test_targets_of_an_hpa(metrics: Any, current: Any, text: str) -> None:
    """Current value and target of each metric; two at most, then the number of others."""
    hpa = an_hpa(metrics=metrics)
    hpa["status"] = {"currentMetrics": current, "currentReplicas": 4}
    result = row("HorizontalPodAutoscaler", hpa)
    assert (result["Targets"], result["Replicas"], result["Reference"]) == (
        text,
        "4",
        "StatefulSet/db",
    )
    assert result["MinPods"] == "<unset>"


def test_an_hpa_of_version_1_shows_the_same() -> None:
    """An HPA of autoscaling/v1 shows its target, too."""
    hpa = an_hpa(targetCPUUtilizationPercentage=50, minReplicas=2)
    hpa["status"] = {"currentCPUUtilizationPercentage": 10}
    result = row("HorizontalPodAutoscaler", hpa)
    assert (result["Targets"], result["MinPods"]) == ("cpu: 10%/50%", "2")


SERVICES = [
    ({"clusterIP": "10.0.0.1"}, "10.0.0.1", "<none>", "80/TCP"),
    ({"clusterIP": "None", "ports": []}, "None", "<none>", "<none>"),
    (
        {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]},
        "<none>",
        "<none>",
        "80:30001/TCP",
    ),
    ({"type": "LoadBalancer"}, "<none>", "<pending>", "80/TCP"),
    ({"type": "ExternalName", "externalName": "a.b", "ports": []}, "<none>", "a.b", "<none>"),
    ({"externalIPs": ["1.2.3.4", "1.2.3.5"]}, "<none>", "1.2.3.4,1.2.3.5", "80/TCP"),
]


@pytest.mark.parametrize(("spec", "inside", "outside", "ports"), SERVICES)
def test_services(spec: Any, inside: str, outside: str, ports: str) -> None:
    """Addresses and ports of each type of service."""
    result = row("Service", a_service(**spec))
    assert (result["Cluster-IP"], result["External-IP"], result["Port(s)"]) == (
        inside,
        outside,
        ports,
    )


def test_events() -> None:
    """Ages of the last and first time, the object in kubectl's words."""
    event = {
        "metadata": {"name": "e"},
        "type": "Warning",
        "reason": "BackOff",
        "message": " again ",
        "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{a}"},
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": CLOCK.timestamp(NOW - 300),
        "lastTimestamp": CLOCK.timestamp(NOW - 5),
        "count": 7,
    }
    assert list(row("Event", event).values()) == [
        "5s", "Warning", "BackOff", "pod/web", "spec.containers{a}", "kubelet, node-1", "again",
        "5m", 7, "e",
    ]  # fmt: skip


def test_small_kinds() -> None:
    """Cells of configuration kinds: numbers of keys, holders, limits, owners."""
    assert row("ConfigMap", a_config_map(a="1", b="2"))["Data"] == "2"
    slice_ = {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [f"10.0.0.{n}"]} for n in range(5)],
    }
    assert row("EndpointSlice", slice_)["Endpoints"] == "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more..."
    budget = {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 2}}
    result = row("PodDisruptionBudget", budget)
    assert (result["Min Available"], result["Max Unavailable"]) == ("50%", "N/A")
    usage = [
        {"usage": {"cpu": "100m", "memory": "10Ki"}},
        {"usage": {"cpu": "50m", "memory": "5Ki"}},
    ]
    result = row("PodMetrics", {"containers": usage, "window": "1s"})
    assert (result["cpu"], result["memory"], result["Window"]) == ("150m", "15Ki", "1s")


def test_columns_of_custom_kinds() -> None:
    """Declared columns follow the name; without any, the age does."""
    bare = Kind("Tab", "tabs", group="example.com", custom=True)
    assert [item["name"] for item in columns(bare)] == ["Name", "Age"]
    declared = (
        {"name": "Cron", "type": "string", "jsonPath": ".spec.cron", "description": "when"},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1},
        {
            "name": "Ready",
            "type": "string",
            "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
        },
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    )
    kind = Kind("Tab", "tabs", group="example.com", custom=True, columns=declared)
    document = {
        "metadata": {"name": "a", "creationTimestamp": CLOCK.timestamp(NOW - 60)},
        "spec": {"cron": "* *", "size": 3},
        "status": {"conditions": [{"type": "Other", "status": "False"}, *READY]},
    }
    assert cells(kind, document, CLOCK, NOW) == ["a", "* *", 3, "True", "60s"]
    assert cells(kind, {"metadata": {"name": "b"}}, CLOCK, NOW) == ["b", None, None, None, None]
    narrow, rows = table_for(kind, [document], CLOCK, NOW, wide=False)
    assert [item["name"] for item in narrow] == ["Name", "Cron", "Ready", "Age"]
    assert rows == [["a", "* *", "True", "60s"]]


def test_delete_collection_takes_what_matches(api: KubeAPI) -> None:
    """A collection is deleted by selector; a dry run deletes nothing."""
    for name, tier in (("a", "front"), ("b", "back"), ("c", "front")):
        new = a_config_map(name)
        new["metadata"]["labels"] = {"tier": tier}
        api.create(new)
    api.delete_collection("cm", "default", dry_run=True)
    assert len(api.list("cm")["items"]) == 3
    deleted = api.delete_collection("cm", "default", label_selector="tier=front")
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["a", "c"]
    assert [item["metadata"]["name"] for item in api.list("cm")["items"]] == ["b"]
    with pytest.raises(MethodNotAllowed):
        api.delete_collection("namespaces")


def test_the_table_of_a_cluster() -> None:
    """`cluster.get` prints the same tables as kubectl."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.apply(a_pod())
        cluster.sleep(30)
        everywhere = cluster.get("pods")
        assert everywhere.columns == ("Namespace", "Name", "Ready", "Status", "Restarts", "Age")
        assert everywhere.rows[0][:4] == ("default", "web", "1/1", "Running")
        wide = cluster.get("po", namespace="default", wide=True)
        assert wide.column("Node") == ["node-1"]
        assert cluster.get("pod", "web").column("Name") == ["web"]
        assert len(cluster.get("pods", label_selector="app=none")) == 0


# -- paths -----------------------------------------------------------------------------------------

READERS = {"at", "count", "integer_at", "labels_at", "length_at", "mapping", "objects", "part"}
READERS |= {"selector_at"}
METRICS = {"cpu", "memory", "usage", "window"}  # fields of metrics.k8s.io


def _fields_read(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, field) of each part of each path by which a printer reads a document."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        paths = node.args[1:] if name in READERS else node.args[:1] if name == "get" else []
        for path in paths:
            if isinstance(path, ast.Constant) and isinstance(path.value, str):
                yield from ((node.lineno, field) for field in path.value.split("."))


def test_printers_read_fields_that_exist() -> None:
    """No path is misspelt: printers read documents of any shape, so the type checker cannot see."""
    known = {field for schema in data.types().values() for field in schema.get("properties") or ()}
    folder = Path(printers.__file__).parent
    read = [(p.name, *each) for p in folder.glob("*.py") for each in _fields_read(p.read_text())]
    assert len(read) > 250
    assert [each for each in read if each[2] not in known | METRICS] == []
    assert (1, "phse") in _fields_read('part(pod, "status", "phse")')
    assert (1, "nodName") in _fields_read('at(column("Node", ""), "spec.nodName")')
