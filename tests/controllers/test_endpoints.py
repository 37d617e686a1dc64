"""Endpoints of Services, the mirroring of hand-written ones, and the Service `kubernetes`."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.controllers.endpoints import plan
from kubesim.errors import Invalid


@pytest.fixture
def cluster() -> Any:
    with Cluster(2, hpa=False) as running:
        running.sleep(2)
        yield running


def pod(name: str, *, ports: Any = (), notes: Any = None, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "nginx", "ports": list(ports)}
    metadata = {"name": name, "labels": {"app": "web"}, "annotations": notes or {}}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {"containers": [container], **spec},
    }


def service(name: str = "web", *, ports: Any = None, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8080}] if ports is None else ports
    body = {"selector": {"app": "web"}, "ports": ports, **spec}
    return {"kind": "Service", "apiVersion": "v1", "metadata": {"name": name}, "spec": body}


def by_hand(name: str, *subsets: Any, **metadata: Any) -> dict[str, Any]:
    return {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {"name": name, **metadata},
        "subsets": list(subsets),
    }


def subsets(cluster: Cluster, name: str = "web") -> list[Any]:
    """(ready IPs' pods, pods that are not ready, ports) of each subset."""
    found_subsets = []
    for subset in cluster.api.get("Endpoints", name).get("subsets") or ():
        ready, unready = (
            [address.get("targetRef", {}).get("name") for address in subset.get(field) or ()]
            for field in ("addresses", "notReadyAddresses")
        )
        ports = [(port.get("name", ""), port["port"]) for port in subset.get("ports") or ()]
        found_subsets.append((sorted(ready), sorted(unready), ports))
    return found_subsets


def slices(cluster: Cluster, name: str) -> list[Any]:
    """(family, [(address, ready)], ports, managed by) of each slice of a Service."""
    selector = f"kubernetes.io/service-name={name}"
    return sorted(
        (
            item["addressType"],
            [(e["addresses"][0], e["conditions"]["ready"]) for e in item["endpoints"]],
            [(port["name"], port["port"]) for port in item.get("ports") or ()],
            item["metadata"]["labels"].get("endpointslice.kubernetes.io/managed-by"),
        )
        for item in cluster.api.list("EndpointSlice", label_selector=selector)["items"]
    )


# -- the Endpoints of a Service --------------------------------------------------------------------


def test_ready_and_unready_pods_stand_in_one_object(cluster: Cluster) -> None:
    """Labels, ports, nodes and targets; a pod that is not ready stands apart; both follow."""
    cluster.api.create({**service(), "metadata": {"name": "web", "labels": {"tier": "front"}}})
    cluster.api.create(pod("a"))
    probe = {"httpGet": {"port": 80}, "periodSeconds": 1}
    slow = pod("b", notes={"kubesim.dev/probe": '{"ready_after_seconds": 30}'})
    slow["spec"]["containers"][0]["readinessProbe"] = probe
    cluster.api.create(slow)
    cluster.sleep(10)
    assert subsets(cluster) == [(["a"], ["b"], [("", 8080)])]
    endpoints = cluster.api.get("Endpoints", "web")
    assert endpoints["metadata"]["labels"] == {
        "tier": "front",
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    }
    (address,) = endpoints["subsets"][0]["addresses"]
    a = cluster.api.get("Pod", "a")
    assert address == {
        "ip": a["status"]["podIP"],
        "nodeName": a["spec"]["nodeName"],
        "targetRef": {
            "kind": "Pod",
            "namespace": "default",
            "name": "a",
            "uid": a["metadata"]["uid"],
        },
    }
    cluster.sleep(40)
    assert subsets(cluster) == [(["a", "b"], [], [("", 8080)])]


def test_a_terminating_pod_leaves_at_once(cluster: Cluster) -> None:
    """Unlike in slices, it is no endpoint any more; with publishNotReadyAddresses it stays."""
    notes = {"kubesim.dev/stop-seconds": "15"}
    cluster.api.create(service())
    cluster.api.create(service("all", publishNotReadyAddresses=True))
    cluster.api.create(pod("a", notes=notes))
    cluster.sleep(10)
    cluster.api.delete("Pod", "a")
    cluster.sleep(1)
    assert subsets(cluster) == []
    assert subsets(cluster, "all") == [(["a"], [], [("", 8080)])]
    cluster.sleep(30)
    assert subsets(cluster, "all") == []


def test_named_ports_make_subsets(cluster: Cluster) -> None:
    """Ports with the same pods share a subset; a pod without the named port is left out there."""
    cluster.api.create(
        service(
            ports=[
                {"name": "http", "port": 80, "targetPort": "web"},
                {"name": "metrics", "port": 9, "targetPort": 9000},
            ]
        )
    )
    cluster.api.create(pod("a", ports=[{"name": "web", "containerPort": 80}]))
    cluster.api.create(pod("b"))
    cluster.sleep(10)
    assert subsets(cluster) == [
        (["a"], [], [("http", 80)]),
        (["a", "b"], [], [("metrics", 9000)]),
    ]


def test_headless_services_and_host_names(cluster: Cluster) -> None:
    """A label says headless, ports may be missing, and pods of a StatefulSet have host names."""
    cluster.api.create(service("db", ports=[], clusterIP="None"))
    cluster.api.create(pod("a", hostname="a", subdomain="db"))
    cluster.sleep(10)
    endpoints = cluster.api.get("Endpoints", "db")
    assert endpoints["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert endpoints["subsets"][0]["addresses"][0]["hostname"] == "a"
    assert "ports" not in endpoints["subsets"][0]


def test_external_names_and_services_without_selector_have_none(cluster: Cluster) -> None:
    """Endpoints of a Service without a selector are somebody else's."""
    external = service("ext", ports=[], type="ExternalName", externalName="example.com")
    cluster.api.create(external)
    bare = service("bare")
    del bare["spec"]["selector"]
    cluster.api.create(bare)
    cluster.api.create(service())
    cluster.sleep(5)
    names = [item["metadata"]["name"] for item in cluster.api.list("Endpoints")["items"]]
    assert names == ["kubernetes", "web"]


def test_endpoints_go_with_their_service_and_come_back_if_deleted(cluster: Cluster) -> None:
    """The controller owns them; a deletion by hand is undone."""
    cluster.api.create(service())
    cluster.api.create(pod("a"))
    cluster.sleep(10)
    cluster.api.delete("Endpoints", "web")
    cluster.sleep(1)
    assert subsets(cluster) == [(["a"], [], [("", 8080)])]
    cluster.api.delete("Service", "web")
    cluster.sleep(1)
    assert cluster.api.peek("Endpoints", "web") is None


def addresses(count: int, start: int = 0) -> list[Any]:
    return [
        {"ip": f"10.{n // 65536}.{n // 256 % 256}.{n % 256}"} for n in range(start, start + count)
    ]


@pytest.mark.parametrize(
    ("ready", "unready", "left"),
    [
        ([1000], [0], [(1000, 0)]),
        ([1000], [1], [(1000, 0)]),
        ([900], [200], [(900, 100)]),
        ([600, 600], [10, 0], [(500, 0), (500, 0)]),
        ([900, 300], [0, 0], [(750, 0), (250, 0)]),
        ([900, 0], [50, 100], [(900, 34), (0, 66)]),
    ],
)
def test_a_thousand_addresses_are_the_most(
    ready: list[int], unready: list[int], left: list[tuple[int, int]]
) -> None:
    """Ready ones first; each subset keeps its share, rounded up."""
    listed = [
        {
            "addresses": addresses(r),
            "notReadyAddresses": addresses(u, 10_000),
            "ports": [{"port": n}],
        }
        for n, (r, u) in enumerate(zip(ready, unready, strict=True), 1)
    ]
    cut, over = plan.truncated(listed)  # type: ignore[arg-type]
    sizes = [(len(s.get("addresses", ())), len(s.get("notReadyAddresses", ()))) for s in cut]
    assert sizes == left
    assert over is (sum(ready) + sum(unready) > 1000)


def test_more_than_a_thousand_pods_are_annotated() -> None:
    """The annotation over-capacity appears, and goes when there is room again."""
    running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    pods = [
        {
            "metadata": {"name": f"p{n}", "namespace": "default", "uid": str(n)},
            "spec": {"nodeName": "node-1"},
            "status": {**running, "podIP": address["ip"]},
        }
        for n, address in enumerate(addresses(1001, 1))
    ]
    document = service()
    document["metadata"]["namespace"] = "default"
    large = plan.endpoints_of(document, pods, None)  # type: ignore[arg-type]
    assert large is not None
    assert large["metadata"]["annotations"] == {
        "endpoints.kubernetes.io/over-capacity": "truncated"
    }
    assert len(large["subsets"][0]["addresses"]) == 1000
    assert plan.endpoints_of(document, pods, large) is None  # type: ignore[arg-type]
    small = plan.endpoints_of(document, pods[:3], large)  # type: ignore[arg-type]
    assert small is not None and not small["metadata"].get("annotations")


def test_unready_wins_over_ready() -> None:
    """An address that is listed twice for one port is not ready."""
    one = {"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}]}
    other = {"notReadyAddresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}, {"port": 2}]}
    packed = plan.repack([one, other])  # type: ignore[list-item]
    assert packed == [
        {"notReadyAddresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}, {"port": 2}]}
    ]


# -- by hand ---------------------------------------------------------------------------------------


def test_endpoints_written_by_hand_are_mirrored(cluster: Cluster) -> None:
    """A slice for each port list and family; changes follow; it goes with the Endpoints."""
    outside = service("db")
    del outside["spec"]["selector"]
    cluster.api.create(outside)
    subset = {
        "addresses": [{"ip": "1.2.3.4", "nodeName": "node-1"}, {"ip": "fd00::1"}],
        "notReadyAddresses": [{"ip": "1.2.3.5"}],
        "ports": [{"name": "sql", "port": 5432}],
    }
    cluster.api.create(by_hand("db", subset, labels={"tier": "data"}))
    cluster.sleep(1)
    manager = "endpointslicemirroring-controller.k8s.io"
    ports = [("sql", 5432)]
    assert slices(cluster, "db") == [
        ("IPv4", [("1.2.3.4", True), ("1.2.3.5", False)], ports, manager),
        ("IPv6", [("fd00::1", True)], ports, manager),
    ]
    items = cluster.api.list("EndpointSlice", label_selector="tier=data")["items"]
    assert {item["metadata"]["ownerReferences"][0]["kind"] for item in items} == {"Endpoints"}
    change = [{"addresses": [{"ip": "1.2.3.9"}], "ports": [{"name": "sql", "port": 5433}]}]
    cluster.api.patch("Endpoints", "db", {"subsets": change})
    cluster.sleep(1)
    assert slices(cluster, "db") == [("IPv4", [("1.2.3.9", True)], [("sql", 5433)], manager)]
    cluster.api.delete("Endpoints", "db")
    cluster.sleep(1)
    assert slices(cluster, "db") == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
def test_some_endpoints_are_not_mirrored(cluster: Cluster, metadata: dict[str, Any]) -> None:
    """Those that say so, those of a leader election, and those without a Service."""
    outside = service("db")
    del outside["spec"]["selector"]
    cluster.api.create(outside)
    subset = {"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}]}
    cluster.api.create(by_hand("db", subset, **metadata))
    cluster.api.create(by_hand("alone", subset))
    cluster.sleep(1)
    assert slices(cluster, "db") == slices(cluster, "alone") == []
    cluster.api.create(service("alone", ports=[{"port": 1}], selector=None))
    cluster.sleep(1)
    assert len(slices(cluster, "alone")) == 1
    cluster.api.patch("Service", "alone", {"spec": {"selector": {"app": "x"}}})
    cluster.sleep(1)
    assert [each[3] for each in slices(cluster, "alone")] == ["endpointslice-controller.k8s.io"]


@pytest.mark.parametrize(
    ("subset", "path", "text"),
    [
        ({}, "subsets[0]", "must specify `addresses` or `notReadyAddresses`"),
        ({"addresses": [{"ip": "127.0.0.1"}]}, "subsets[0].addresses[0].ip", "loopback range"),
        ({"addresses": [{"ip": "169.254.1.1"}]}, "subsets[0].addresses[0].ip", "link-local range"),
        ({"notReadyAddresses": [{"ip": "x"}]}, "subsets[0].notReadyAddresses[0].ip", "IP address"),
        (
            {"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}, {"port": 2, "name": "b"}]},
            "subsets[0].ports[0].name",
            "Required value",
        ),
        (
            {"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 0}]},
            "subsets[0].ports[0].port",
            "",
        ),
    ],
)
def test_rules_of_endpoints(cluster: Cluster, subset: Any, path: str, text: str) -> None:
    """Each broken rule is one cause with upstream's path."""
    with pytest.raises(Invalid) as refused:
        cluster.api.create(by_hand("db", subset))
    (cause,) = refused.value.causes
    assert cause.field == path and text in cause.message


# -- the Service of the API server -----------------------------------------------------------------


def test_the_service_kubernetes_comes_back(cluster: Cluster) -> None:
    """Within ten seconds, with the same address."""
    cluster.api.delete("Service", "kubernetes")
    cluster.api.delete("Endpoints", "kubernetes")
    cluster.sleep(9)
    assert cluster.api.peek("Service", "kubernetes") is None
    cluster.sleep(2)
    assert cluster.api.get("Service", "kubernetes")["spec"]["clusterIP"] == "10.96.0.1"
    assert cluster.api.peek("Endpoints", "kubernetes") is not None
    assert len(slices(cluster, "kubernetes")) == 1


def test_every_cluster_has_the_service_kubernetes(cluster: Cluster) -> None:
    """With its Endpoints, its slice and the environment variables that clients in pods read."""
    kubernetes = cluster.api.get("Service", "kubernetes")
    assert kubernetes["spec"]["clusterIP"] == "10.96.0.1"
    assert kubernetes["spec"]["ports"] == [
        {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
    ]
    assert kubernetes["metadata"]["labels"] == {"component": "apiserver", "provider": "kubernetes"}
    (subset,) = cluster.api.get("Endpoints", "kubernetes")["subsets"]
    assert subset["ports"] == [{"name": "https", "port": 6443, "protocol": "TCP"}]
    assert slices(cluster, "kubernetes") == [
        ("IPv4", [(subset["addresses"][0]["ip"], True)], [("https", 6443)], None)
    ]
    cluster.api.create({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "other"}})
    cluster.sleep(1)
    document = pod("a")
    document["metadata"]["namespace"] = "other"
    document["spec"]["containers"][0]["command"] = ["sh", "-c", "env; sleep 3600"]
    cluster.api.create(document)
    cluster.sleep(10)
    log = cluster.api.pod_logs("a", "other")
    assert "KUBERNETES_SERVICE_HOST=10.96.0.1" in str(log)
    assert "KUBERNETES_SERVICE_PORT_HTTPS=443" in str(log)
