"""`explain` of a pod that anti-affinity keeps from all nodes: each proposal is tried on a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kubesim import Cluster

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
MAIN = {"name": "main", "image": "nginx"}
Build = Callable[[Cluster], object]


@contextmanager
def copies(build: Build, count: int = 2) -> Iterator[tuple[Cluster, ...]]:
    clusters = [Cluster(3, hpa=False) for _ in range(count)]
    try:
        for cluster in clusters:
            cluster.sleep(2)
            build(cluster)
        yield tuple(clusters)
    finally:
        for cluster in clusters:
            cluster.close()


def apart(app: str, key: str = HOSTNAME) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def create(cluster: Cluster, name: str, app: str, affinity: dict[str, Any] | None = None) -> None:
    spec = {"containers": [MAIN]} | ({"affinity": affinity} if affinity else {})
    metadata = {"name": name, "labels": {"app": app}}
    cluster.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    cluster.sleep(5)


def proposals(cluster: Cluster, name: str = "x") -> list[str]:
    return [str(each) for each in cluster.explain(f"pod/{name}").proposals]


def phase(cluster: Cluster, name: str = "x") -> str:
    cluster.sleep(60)
    return str(cluster.api.get("Pod", name)["status"]["phase"])


def each_apart(cluster: Cluster) -> None:
    for name in ("a", "b", "c", "x"):
        create(cluster, name, "web", apart("web"))


def own_rule(cluster: Cluster) -> None:
    """One node has two of the pods, so that one deletion is enough only elsewhere."""
    for name in ("a", "b", "c", "d"):
        create(cluster, name, "web")
    create(cluster, "x", "x", apart("web"))


def rule_of_others(cluster: Cluster) -> None:
    for name in ("a", "b", "c"):
        create(cluster, name, "web", both("web", "x"))
    create(cluster, "x", "x")


def both(*apps: str) -> dict[str, Any]:
    rule = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = [apart(app)["podAntiAffinity"][rule][0] for app in apps]
    return {"podAntiAffinity": {rule: terms}}


@pytest.mark.parametrize("build", [each_apart, own_rule, rule_of_others])
def test_one_pod_less_or_one_node_more_is_enough(build: Build) -> None:
    with copies(build, 3) as (asked, fewer, more):
        texts = proposals(asked)
        explained = asked.explain("pod/x").proposals
        assert all(len(each.steps) == 1 for each in explained)
        first = explained[0].changes[0]
        assert first["kind"] == "pod"
        assert any(text.startswith("add a node like node-") for text in texts)
        assert phase(asked) == "Pending"
        fewer.api.delete("Pod", first["pod"].partition("/")[2])
        assert phase(fewer) == "Running"
        more.add_node()
        assert phase(more) == "Running"


def test_a_rule_over_zones_takes_a_node_in_a_new_zone() -> None:
    """A further node in the same zone does not help, and is not proposed."""

    def build(cluster: Cluster) -> None:
        for number, zone in ((1, "a"), (2, "b"), (3, "b")):
            cluster.api.patch("Node", f"node-{number}", {"metadata": {"labels": {ZONE: zone}}})
        for name in ("a", "b", "x"):
            create(cluster, name, "web", apart("web", ZONE))

    with copies(build, 3) as (asked, same, other):
        texts = proposals(asked)
        assert f"add a node like node-1 with a new value of {ZONE}" in texts
        assert "add a node like node-1" not in texts
        same.add_node(labels={ZONE: "a"})
        other.add_node(labels={ZONE: "c"})
        assert (phase(same), phase(other)) == ("Pending", "Running")


def test_a_replica_of_the_same_controller_is_replaced() -> None:
    """Deleting one moves the gap; a further node closes it, so that comes first."""

    def build(cluster: Cluster) -> None:
        labels = {"app": "web"}
        spec = {"containers": [MAIN], "affinity": apart("web")}
        template = {"metadata": {"labels": labels}, "spec": spec}
        body = {"replicas": 4, "selector": {"matchLabels": labels}, "template": template}
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
        cluster.api.create({**deployment, "spec": body})
        cluster.sleep(30)

    def pending(cluster: Cluster) -> list[str]:
        pods = cluster.api.list("Pod")["items"]
        return [p["metadata"]["name"] for p in pods if p["status"]["phase"] == "Pending"]

    with copies(build) as (asked, tried):
        (name,) = pending(asked)
        texts = proposals(asked, name)
        assert texts[0].startswith("add a node like node-")
        (removal,) = [text for text in texts if text.startswith("remove a pod")]
        assert "in place of which its ReplicaSet makes one that waits: then" in removal
        victim = asked.explain(f"pod/{name}").proposals[texts.index(removal)].changes[0]["pod"]
        asked.api.delete("Pod", victim.partition("/")[2])
        asked.sleep(120)
        assert len(pending(asked)) == 1
        tried.add_node()
        tried.sleep(120)
        assert pending(tried) == []


def test_a_new_node_is_not_proposed_where_it_does_not_help() -> None:
    """The pod is too large for a node like the present ones, too."""

    def build(cluster: Cluster) -> None:
        for name in ("a", "b", "c"):
            create(cluster, name, "web", apart("x"))
        requests = {"resources": {"requests": {"cpu": "1000"}}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": {"app": "x"}}}
        cluster.api.create({**pod, "spec": {"containers": [{**MAIN, **requests}]}})
        cluster.sleep(5)

    with copies(build, 1) as (asked,):
        assert not any("add a node" in text for text in proposals(asked))
