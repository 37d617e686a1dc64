"""EndpointSlices: who is an endpoint, how slices fill, and the controller with faults."""

from __future__ import annotations

from typing import Any

import pytest
from controller_faults import controller_of, events_of, replace_controller
from hypothesis import given
from hypothesis import strategies as st

from kubesim import Cluster
from kubesim.controllers.endpointslice.controller import EndpointSliceController
from kubesim.controllers.endpointslice.plan import (
    SliceState,
    addresses_of,
    best_fit,
    endpoint_of,
    plan_slices,
    port_key,
    ports_of,
    why_left_out,
)
from kubesim.controllers.endpointslice.reconciler import labels_for, writes_for
from kubesim.errors import Forbidden

SERVICE = {
    "kind": "Service",
    "apiVersion": "v1",
    "metadata": {"name": "web", "namespace": "default", "uid": "s"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


def pod(name: str = "a", *, ready: bool = True, ip: str = "10.0.0.1", **changes: Any) -> Any:
    """A running pod; changes of metadata, spec and status by section."""
    status = {
        "phase": "Running",
        "podIP": ip,
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        **changes.get("status", {}),
    }
    metadata = {"name": name, "namespace": "default", "uid": name, **changes.get("metadata", {})}
    return {"metadata": metadata, "spec": changes.get("spec", {}), "status": status}


@pytest.mark.parametrize(
    ("ready", "leaving", "publish", "expected"),
    [
        (True, False, False, (True, True, False)),
        (False, False, False, (False, False, False)),
        (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)),
        (True, False, True, (True, True, False)),
        (False, False, True, (True, False, False)),
        (True, True, True, (True, True, True)),
        (False, True, True, (True, False, True)),
    ],
)
def test_the_three_conditions(ready: bool, leaving: bool, publish: bool, expected: Any) -> None:
    """ready = publishNotReadyAddresses or (serving and not terminating)."""
    service = {**SERVICE, "spec": {**SERVICE["spec"], "publishNotReadyAddresses": publish}}
    metadata = {"deletionTimestamp": "t"} if leaving else {}
    result = endpoint_of(pod(ready=ready, metadata=metadata), service, "IPv4")["conditions"]
    assert (result["ready"], result["serving"], result["terminating"]) == expected


@pytest.mark.parametrize(
    ("changes", "family", "why"),
    [
        ({}, "IPv4", ""),
        ({"ip": ""}, "IPv4", "it has no IPv4 address yet"),
        ({}, "IPv6", "it has no IPv6 address yet"),
        ({"status": {"phase": "Succeeded"}}, "IPv4", "it has ended"),
        ({"status": {"phase": "Failed"}}, "IPv4", "it has ended"),
        ({"status": {"phase": "Pending"}}, "IPv4", ""),
        ({"status": {"podIPs": [{"ip": "fd00::1"}]}}, "IPv6", ""),
    ],
)
def test_who_is_an_endpoint(changes: Any, family: str, why: str) -> None:
    """An address and an open end are enough; readiness is not asked for."""
    assert why_left_out(pod(**changes), family) == why


def test_an_endpoint_says_where_it_is() -> None:
    """Node, zone and owner; the host name only under the Service that the pod names."""
    spec = {"nodeName": "node-1", "hostname": "web-0", "subdomain": "web"}
    result = endpoint_of(pod(spec=spec), SERVICE, "IPv4", zone="east")
    assert result["targetRef"] == {"kind": "Pod", "namespace": "default", "name": "a", "uid": "a"}
    assert (result["nodeName"], result["zone"], result["hostname"]) == ("node-1", "east", "web-0")
    other = {**spec, "subdomain": "db"}
    assert "hostname" not in endpoint_of(pod(spec=other), SERVICE, "IPv4")
    both = [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]
    assert addresses_of(pod(status={"podIPs": both}), "IPv6") == ["fd00::1"]


def test_named_ports_are_looked_up_in_the_pod() -> None:
    """By name and protocol, in sidecars too; a port that the pod lacks is left out."""
    sidecar = {"restartPolicy": "Always", "ports": [{"name": "admin", "containerPort": 9000}]}
    plain = {"ports": [{"name": "once", "containerPort": 1}]}
    main = {"ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}
    spec = {"containers": [main], "initContainers": [sidecar, plain]}
    ports = [
        {"name": "web", "port": 80, "targetPort": "http", "appProtocol": "http"},
        {"name": "admin", "port": 81, "targetPort": "admin", "protocol": "TCP"},
        {"name": "udp", "port": 82, "targetPort": "http", "protocol": "UDP"},
        {"name": "once", "port": 83, "targetPort": "once"},
        {"name": "plain", "port": 84, "targetPort": 7},
    ]
    result = ports_of(pod(spec=spec), {"spec": {"ports": ports}})
    assert [(port["name"], port["port"]) for port in result] == [
        ("web", 8080),
        ("admin", 9000),
        ("plain", 7),
    ]
    assert result[0]["appProtocol"] == "http"
    assert port_key(result) == port_key(result[::-1]) != port_key(result[:2])


def ends(*numbers: int, ready: bool = True) -> list[dict[str, Any]]:
    """Endpoints by number."""
    return [{"addresses": [f"10.0.0.{n}"], "conditions": {"ready": ready}} for n in numbers]


def state(name: str, *numbers: int, relabel: bool = False) -> SliceState:
    """A slice with endpoints by number."""
    return SliceState(name, ends(*numbers), relabel)


@pytest.mark.parametrize(
    ("existing", "desired", "create", "update", "delete"),
    [
        ([], (1, 2, 3, 4, 5), [(1, 2, 3), (4, 5)], {}, ()),
        ([state("a", 1, 2)], (1, 2), [], {}, ()),
        ([state("a", 1, 2)], (1,), [], {"a": (1,)}, ()),
        ([state("a", 1, 2)], (3,), [(3,)], {}, ("a",)),
        # What is new goes into the slice that is written anyway, though the other has room.
        ([state("a", 1, 2), state("b", 3)], (1, 3, 4), [], {"a": (1, 4)}, ()),
        # The fullest of the changed slices first.
        (
            [state("a", 1, 9), state("b", 2, 3, 8)],
            (1, 2, 3, 4, 5),
            [],
            {"b": (2, 3, 4), "a": (1, 5)},
            (),
        ),
        # Nothing changes otherwise: the untouched slice that is filled best.
        ([state("a", 1), state("b", 2, 3)], (1, 2, 3, 4), [], {"b": (2, 3, 4)}, ()),
        ([state("a", 1), state("b", 2, 3)], (1, 2, 3, 4, 5), [], {"a": (1, 4, 5)}, ()),
        # Room in two slices for a part each is not used: a new one.
        ([state("a", 1, 2), state("b", 3, 4)], (1, 2, 3, 4, 5, 6), [(5, 6)], {}, ()),
        # A whole slice of new endpoints goes into a new one; the rest is looked at again.
        ([state("a", 1, 2)], (1, 2, 3, 4, 5, 6), [(3, 4, 5)], {"a": (1, 2, 6)}, ()),
        # Slices are never balanced anew.
        ([state("a", 1), state("b", 2)], (1, 2), [], {}, ()),
        ([state("a", 1, relabel=True)], (1,), [], {"a": (1,)}, ()),
        ([state("a", 1, relabel=True)], (1, 2), [], {"a": (1, 2)}, ()),
    ],
)
def test_how_slices_fill(
    existing: list[SliceState], desired: Any, create: Any, update: Any, delete: Any
) -> None:
    """At most three to a slice here: as few writes as may be, and no more."""
    result = plan_slices(existing, ends(*desired), most=3)
    assert list(result.create) == [ends(*numbers) for numbers in create]
    assert result.update == {name: ends(*numbers) for name, numbers in update.items()}
    assert result.delete == delete


def test_an_endpoint_that_changes_stays_in_its_slice() -> None:
    """Readiness is no identity: the slice is written, not torn down."""
    result = plan_slices([state("a", 1, 2)], [*ends(1, ready=False), *ends(2)], most=3)
    assert result.update == {"a": [*ends(1, ready=False), *ends(2)]}
    assert (result.create, result.delete) == ((), ())


@pytest.mark.parametrize(
    ("sizes", "count", "expected"),
    [
        ({"a": 10, "b": 60}, 30, "b"),
        ({"a": 10, "b": 70}, 30, "b"),
        ({"a": 10, "b": 71}, 30, "a"),
        ({"a": 80, "b": 71}, 30, None),
        ({"a": 0}, 100, None),
        ({}, 1, None),
    ],
)
def test_the_slice_that_is_filled_best(sizes: Any, count: int, expected: str | None) -> None:
    """The least room left; none that would overflow; a full load gets a slice of its own."""
    assert best_fit(sizes, count) == expected


@given(
    st.lists(st.sets(st.integers(0, 30), max_size=4), max_size=6),
    st.sets(st.integers(0, 40)),
)
def test_every_endpoint_stands_in_one_slice(
    present_names: list[set[int]], wanted: set[int]
) -> None:
    """Whatever was there: afterwards each endpoint once, no slice too full, and then no writes."""
    seen: set[int] = set()
    existing = []
    for index, numbers in enumerate(present_names):
        existing.append(state(f"s{index}", *sorted(numbers - seen)))
        seen |= numbers
    result = plan_slices(existing, ends(*sorted(wanted)), most=4)
    after = {s.name: list(s.endpoints) for s in existing if s.name not in result.delete}
    after.update(result.update)
    after.update({f"new{n}": held for n, held in enumerate(result.create)})
    held = sorted(e["addresses"][0] for endpoints in after.values() for e in endpoints)
    assert held == sorted(e["addresses"][0] for e in ends(*wanted))
    assert all(len(endpoints) <= 4 for endpoints in after.values())
    again = plan_slices([SliceState(n, e) for n, e in after.items()], ends(*sorted(wanted)), 4)
    assert (again.create, again.update, again.delete) == ((), {}, ())


def test_labels_follow_the_service() -> None:
    """Its own labels, but for the reserved ones; a headless Service is marked."""
    labels = {"app": "web", "kubernetes.io/service-name": "lie"}
    service = {**SERVICE, "metadata": {**SERVICE["metadata"], "labels": labels}}
    assert labels_for(service) == {
        "app": "web",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    headless = {**service, "spec": {"clusterIP": "None"}}
    assert labels_for(headless)["service.kubernetes.io/headless"] == ""


def test_a_service_without_endpoints_has_one_empty_slice() -> None:
    """It is kept while there is nothing else, and written over by the first endpoints."""
    placeholder = writes_for(SERVICE, "IPv4", [], []).create[0]
    assert (placeholder["endpoints"], placeholder["ports"]) == ([], [])
    stored = {**placeholder, "metadata": {**placeholder["metadata"], "name": "web-x"}}
    again = writes_for(SERVICE, "IPv4", [], [stored])
    assert (again.create, again.update, again.delete) == ([], [], [])
    ports = [{"name": "", "protocol": "TCP", "port": 8080}]
    first = writes_for(SERVICE, "IPv4", [(ports, ends(1)[0])], [stored])
    assert (first.create, first.delete) == ([], [])
    assert first.update[0]["metadata"]["name"] == "web-x"
    assert (first.update[0]["ports"], first.update[0]["endpoints"]) == (ports, ends(1))


# -- the controller on virtual time ----------------------------------------------------------------


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A Service for the pods of a workload of that name."""
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"kind": "Service", "metadata": {"name": name}, "spec": spec}


def workload(replicas: int) -> dict[str, Any]:
    """A ReplicaSet of small pods with label app=web."""
    container = {"name": "main", "image": "kubesim/pod", "resources": {"requests": {"cpu": "1m"}}}
    return {
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
        },
    }


LABELS = {"labels": {"app": "web"}}


def slices(cluster: Cluster, name: str = "web") -> list[dict[str, Any]]:
    """The slices of a Service."""
    selector = f"kubernetes.io/service-name={name}"
    return cluster.api.list("EndpointSlice", label_selector=selector)["items"]  # type: ignore[no-any-return]


def ready_pods(cluster: Cluster, name: str = "web") -> list[str]:
    """Names of the pods that slices call ready, sorted, with repetitions."""
    return sorted(
        endpoint["targetRef"]["name"]
        for result in slices(cluster, name)
        for endpoint in result["endpoints"]
        if endpoint["conditions"]["ready"]
    )


def running(cluster: Cluster) -> list[str]:
    """Names of the pods that are ready and stay."""
    return sorted(
        p["metadata"]["name"]
        for p in cluster.api.list("Pod")["items"]
        if "deletionTimestamp" not in p["metadata"] and p["status"].get("phase") == "Running"
    )


@pytest.fixture
def cluster() -> Any:
    """Three nodes, nothing on them."""
    with Cluster(nodes=3, seed=1, hpa=False) as created:
        yield created


def test_a_service_leads_to_its_ready_pods(cluster: Cluster) -> None:
    """One slice, owned by the Service, named after it; a pod is in before it is ready."""
    cluster.api.create(service())
    cluster.sleep(1)
    assert slices(cluster)[0]["endpoints"] == []
    cluster.api.create(workload(3))
    cluster.sleep(0.5)
    listed = slices(cluster)[0]["endpoints"]
    assert len(listed) == 3
    assert not any(endpoint["conditions"]["ready"] for endpoint in listed)
    cluster.sleep(5)
    assert ready_pods(cluster) == running(cluster)
    (result,) = slices(cluster)
    assert result["metadata"]["name"].startswith("web-")
    assert result["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert result["ports"] == [{"name": "", "protocol": "TCP", "port": 80}]
    message = str(cluster.explain("service/web").latest)
    assert "3 endpoints: 3 ready, 0 terminating" in message


def test_a_pod_on_its_way_out_is_sent_nothing_new(cluster: Cluster) -> None:
    """ready ends with the deletion, serving lasts while it still answers."""
    cluster.api.create(service())
    cluster.api.create(workload(2))
    cluster.sleep(5)
    victim = running(cluster)[0]
    old = cluster.api.get("Pod", victim)
    old["metadata"]["finalizers"] = ["example.com/slow"]
    cluster.api.update(old)
    cluster.api.delete("Pod", victim)
    cluster.sleep(5)
    assert victim not in ready_pods(cluster)
    cluster.api.patch("Pod", victim, {"metadata": {"finalizers": None}})
    cluster.sleep(5)
    assert ready_pods(cluster) == running(cluster)
    assert len(running(cluster)) == 2


def test_labels_and_selectors_move_pods_in_and_out(cluster: Cluster) -> None:
    """A pod that loses the label is removed, one that gains it is added; so with a new selector."""
    cluster.api.create(service())
    cluster.api.create(workload(2))
    cluster.sleep(5)
    name = running(cluster)[0]
    cluster.api.patch("Pod", name, {"metadata": {"labels": {"app": "debug"}}})
    cluster.sleep(5)
    assert name not in ready_pods(cluster)
    cluster.api.patch("Service", "web", {"spec": {"selector": {"app": "debug"}}})
    cluster.sleep(1)
    assert ready_pods(cluster) == [name]


def test_a_service_without_a_selector_is_left_alone(cluster: Cluster) -> None:
    """As is one that is a mere name for something outside."""
    cluster.api.create(service("bare", selector=None))
    outside = {"type": "ExternalName", "externalName": "db.example.com", "ports": None}
    cluster.api.create(service("outside", **outside))
    cluster.sleep(5)
    assert slices(cluster, "bare") == slices(cluster, "outside") == []
    assert controller_of(cluster, EndpointSliceController)._on_demand, "no pods were looked at"


def test_slices_go_with_their_service(cluster: Cluster) -> None:
    """The garbage collector sees to them."""
    cluster.api.create(service())
    cluster.api.create(workload(1))
    cluster.sleep(5)
    cluster.api.delete("Service", "web")
    cluster.sleep(5)
    assert slices(cluster) == []


def test_many_endpoints_are_cut_into_slices(cluster: Cluster) -> None:
    """At most a hundred to a slice; what one pod does changes one slice alone."""
    cluster.api.create(service())
    cluster.api.create(workload(150))
    cluster.sleep(30)
    sizes = sorted(len(result["endpoints"]) for result in slices(cluster))
    assert sizes == [50, 100]
    before = {s["metadata"]["name"]: s["metadata"]["resourceVersion"] for s in slices(cluster)}
    victim = ready_pods(cluster)[0]
    cluster.api.patch("Pod", victim, {"metadata": {"labels": {"app": "debug"}}})
    cluster.sleep(10)
    assert sum(len(result["endpoints"]) for result in slices(cluster)) == 150
    after = {s["metadata"]["name"]: s["metadata"]["resourceVersion"] for s in slices(cluster)}
    assert before.keys() == after.keys()
    assert sum(before[name] != after[name] for name in before) == 1


def test_labels_of_the_service_are_carried_over(cluster: Cluster) -> None:
    """A change of labels alone writes the slice."""
    cluster.api.create(service())
    cluster.sleep(1)
    cluster.api.patch("Service", "web", {"metadata": {"labels": {"team": "shop"}}})
    cluster.sleep(1)
    assert slices(cluster)[0]["metadata"]["labels"]["team"] == "shop"


def test_a_pod_of_a_node_that_is_not_there_waits(cluster: Cluster) -> None:
    """It is left out, and checked again until the node exists."""
    cluster.api.create(service())
    cluster.api.create(workload(3))
    cluster.sleep(5)
    hidden = cluster.api.peek
    victim = cluster.api.get("Pod", running(cluster)[0])["spec"]["nodeName"]

    def peek(kind: str, name: str, namespace: str | None = None) -> Any:
        return None if (kind, name) == ("Node", victim) else hidden(kind, name, namespace)

    cluster.api.peek = peek  # type: ignore[method-assign]
    controller = controller_of(cluster, EndpointSliceController)
    controller.queue.add("default/web")
    cluster.sleep(1)
    assert 0 < len(ready_pods(cluster)) < 3
    assert victim in str(cluster.explain("service/web").latest)
    cluster.api.peek = hidden  # type: ignore[method-assign]
    cluster.sleep(120)
    assert len(ready_pods(cluster)) == 3


def test_a_refused_write_is_reported(cluster: Cluster) -> None:
    """With the server's words; and the slice comes once it works."""
    create = cluster.api.create

    def refuse(document: Any, **options: Any) -> Any:
        if document["kind"] == "EndpointSlice":
            raise Forbidden("no more slices", hint="ours")
        return create(document, **options)

    cluster.api.create = refuse  # type: ignore[method-assign]
    create(service())
    cluster.sleep(1)
    message = "Error updating Endpoint Slices for Service default/web: no more slices"
    assert events_of(cluster, "Service", "FailedToUpdateEndpointSlices") == [message]
    cluster.api.create = create  # type: ignore[method-assign]
    cluster.sleep(120)
    assert len(slices(cluster)) == 1


@pytest.mark.parametrize("latency", [0.3, 3.0])
def test_a_lagging_watch_never_makes_doubles(latency: float) -> None:
    """Nothing is decided on slices that are older than the own last write."""
    with Cluster(nodes=3, seed=2, hpa=False) as cluster:
        lagging = replace_controller(
            cluster, EndpointSliceController, max_endpoints=2, watch_latency_seconds=latency
        )
        cluster.api.create(service())
        cluster.api.create(workload(5))
        for size in (5, 2, 7, 3):
            cluster.api.update_scale("ReplicaSet", "web", replicas=size)
            for _ in range(10):
                cluster.sleep(0.7)
                lagging.queue.add("default/web")
                listed = [e["targetRef"]["name"] for s in slices(cluster) for e in s["endpoints"]]
                assert len(listed) == len(set(listed)), "an endpoint stands in two slices"
        cluster.sleep(30)
        assert ready_pods(cluster) == running(cluster)
        assert lagging.statistics()["waited"] > 0
