"""The manifests that newcomers try first do what the Kubernetes documentation promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import Invalid, NotFound

HERE = Path(__file__).parent
READER = "system:serviceaccount:default:reader"  # of rbac.yaml


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three nodes."""
    with Cluster(nodes=3, hpa=False) as cluster:
        cluster.sleep(2)
        yield cluster


def apply(cluster: Cluster, name: str) -> None:
    """Apply a manifest; a second time it changes nothing."""
    cluster.apply(HERE / f"{name}.yaml")
    revision = cluster.store.revision
    again = cluster.apply(HERE / f"{name}.yaml")
    assert all("unchanged" in str(row) for row in again.rows), again
    assert cluster.store.revision == revision


def listed(cluster: Cluster, kind: str, **options: Any) -> list[Any]:
    """The objects of a kind in `default`, or elsewhere."""
    options = {"namespace": "default", **options}
    return list(cluster.api.list(kind, **options)["items"])


def names(cluster: Cluster, kind: str, **options: Any) -> list[str]:
    """Their names."""
    return [item["metadata"]["name"] for item in listed(cluster, kind, **options)]


def ready_addresses(cluster: Cluster, service: str) -> set[str]:
    """The addresses to which a Service sends requests."""
    selector = f"kubernetes.io/service-name={service}"
    return {
        address
        for slice_ in listed(cluster, "EndpointSlice", label_selector=selector)
        for endpoint in slice_.get("endpoints") or ()
        if endpoint["conditions"]["ready"]
        for address in endpoint["addresses"]
    }


def addresses(cluster: Cluster, selector: str) -> set[str]:
    """The addresses of pods."""
    return {p["status"]["podIP"] for p in listed(cluster, "Pod", label_selector=selector)}


def test_the_guestbook(cluster: Cluster) -> None:
    """Six pods run; each Service has the pods of its tier; the front end scales up and down."""
    apply(cluster, "guestbook")
    cluster.sleep(30)
    table = {
        item["metadata"]["name"]: item["status"].get("readyReplicas", 0)
        for item in listed(cluster, "Deployment")
    }
    assert table == {"follower": 2, "frontend": 3, "leader": 1}
    assert ready_addresses(cluster, "leader") == addresses(cluster, "role=leader")
    assert ready_addresses(cluster, "follower") == addresses(cluster, "role=follower")
    assert len(ready_addresses(cluster, "frontend")) == 3
    (port,) = cluster.api.get("Service", "frontend")["spec"]["ports"]
    assert 30000 <= port["nodePort"] <= 32767
    for size in (5, 2):
        cluster.api.update_scale("Deployment", "frontend", replicas=size)
        cluster.sleep(40)
        assert len(names(cluster, "Pod", label_selector="app=guestbook,tier=frontend")) == size
        assert len(ready_addresses(cluster, "frontend")) == size


def test_the_statefulset_with_claims(cluster: Cluster) -> None:
    """Started in order, with stable names, claims; scaled down from above; claims stay."""
    apply(cluster, "statefulset")
    cluster.sleep(3)
    assert names(cluster, "Pod") == ["web-0"]  # web-1 waits until web-0 is available
    cluster.sleep(60)
    assert names(cluster, "Pod") == ["web-0", "web-1"]
    assert [p["spec"]["hostname"] for p in listed(cluster, "Pod")] == ["web-0", "web-1"]
    claims = listed(cluster, "PersistentVolumeClaim")
    assert [claim["metadata"]["name"] for claim in claims] == ["www-web-0", "www-web-1"]
    assert {claim["status"]["phase"] for claim in claims} == {"Bound"}
    cluster.api.delete("Pod", "web-0", "default")
    cluster.sleep(60)
    (first, _) = listed(cluster, "Pod")
    (volume,) = [v for v in first["spec"]["volumes"] if v["name"] == "www"]
    assert volume == {"name": "www", "persistentVolumeClaim": {"claimName": "www-web-0"}}
    cluster.api.update_scale("StatefulSet", "web", replicas=5)
    cluster.sleep(200)
    assert names(cluster, "Pod") == [f"web-{n}" for n in range(5)]
    cluster.api.update_scale("StatefulSet", "web", replicas=3)
    cluster.sleep(60)
    assert names(cluster, "Pod") == ["web-0", "web-1", "web-2"]
    assert len(names(cluster, "PersistentVolumeClaim")) == 5
    cluster.api.delete("StatefulSet", "web", "default")
    cluster.sleep(60)
    assert names(cluster, "Pod") == []
    assert len(names(cluster, "PersistentVolumeClaim")) == 5


def test_blue_and_green(cluster: Cluster) -> None:
    """The selector of the Service switches all requests at once, and back."""
    apply(cluster, "bluegreen")
    cluster.sleep(30)
    colours = {colour: addresses(cluster, f"colour={colour}") for colour in ("blue", "green")}
    for colour in ("blue", "green", "blue"):
        patch = {"spec": {"selector": {"colour": colour}}}
        cluster.api.patch("Service", "shop", patch, "default")
        cluster.sleep(2)
        assert ready_addresses(cluster, "shop") == colours[colour]
        assert len(colours[colour]) == 2


def test_an_ingress_is_kept(cluster: Cluster) -> None:
    """Its rules are shown; its class need not exist yet."""
    apply(cluster, "ingress")
    (row,) = cluster.get("ingresses").rows
    assert "shop.example.com" in row and "nginx" in row


def test_the_job(cluster: Cluster) -> None:
    """Three completions, two at a time; each pod knows its index; the log holds its result."""
    apply(cluster, "job")
    most = 0
    for _ in range(40):
        cluster.sleep(0.5)
        active = cluster.api.get("Job", "squares")["status"].get("active", 0)
        most = max(most, active)
    assert most == 2
    status = cluster.api.get("Job", "squares")["status"]
    assert (status["succeeded"], status["completedIndexes"]) == (3, "0-2")
    assert [c["type"] for c in status["conditions"] if c["status"] == "True"] == [
        "SuccessCriteriaMet",
        "Complete",
    ]
    for pod in listed(cluster, "Pod"):
        index = int(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"])
        log = cluster.api.pod_logs(pod["metadata"]["name"])
        assert log == [f"the square of {index} is {index * index}"]
    cluster.api.delete("Job", "squares", "default", propagation_policy="Background")
    cluster.sleep(40)
    assert names(cluster, "Pod") == []


def test_the_cronjob(cluster: Cluster) -> None:
    """A Job each minute, of which three are kept; suspended, none; each prints its greeting."""
    apply(cluster, "cronjob")
    cluster.sleep(6 * 60 + 30)
    jobs = names(cluster, "Job")
    assert len(jobs) == 3  # successfulJobsHistoryLimit
    (pod,) = listed(cluster, "Pod", label_selector=f"batch.kubernetes.io/job-name={jobs[-1]}")
    assert pod["status"]["phase"] == "Succeeded"
    log = cluster.api.pod_logs(pod["metadata"]["name"])
    assert log[-1] == "Hello from the Kubernetes cluster" and "2025" in log[0]
    cluster.api.patch("CronJob", "hello", {"spec": {"suspend": True}}, "default")
    before = names(cluster, "Job")
    cluster.sleep(180)
    assert names(cluster, "Job") == before
    cluster.api.delete("CronJob", "hello", "default", propagation_policy="Background")
    cluster.sleep(60)
    assert names(cluster, "Job") == names(cluster, "Pod") == []


def test_the_hpa(cluster: Cluster) -> None:
    """Under load it grows and brings the usage to the target; without load it shrinks again."""
    apply(cluster, "hpa")
    cluster.sleep(60)
    assert cluster.api.get("Deployment", "php-apache")["spec"]["replicas"] == 1
    cluster.set_traffic(100, service="php-apache")
    cluster.sleep(300)
    hpa = cluster.api.get("HorizontalPodAutoscaler", "php-apache")
    size = hpa["status"]["currentReplicas"]
    assert 1 < size <= 10
    usage = hpa["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"]
    assert size == 10 or 40 <= usage <= 60
    cluster.set_traffic(0, service="php-apache")
    cluster.sleep(900)
    assert cluster.api.get("Deployment", "php-apache")["spec"]["replicas"] == 1


def test_the_daemonset(cluster: Cluster) -> None:
    """One pod on each node, also on one that is added later, and on a control plane."""
    apply(cluster, "daemonset")
    cluster.sleep(20)
    space = {"namespace": "kube-system", "label_selector": "name=fluentd"}
    nodes = {pod["spec"]["nodeName"] for pod in listed(cluster, "Pod", **space)}
    assert nodes == {"node-1", "node-2", "node-3"}
    cluster.add_node("node-4")
    cluster.node("node-1").taint("node-role.kubernetes.io/control-plane:NoSchedule")
    cluster.sleep(20)
    assert len(listed(cluster, "Pod", **space)) == 4
    image = {"name": "fluentd", "image": "fluentd:v6"}
    patch = {"spec": {"template": {"spec": {"containers": [image]}}}}
    cluster.api.patch("DaemonSet", "fluentd", patch, "kube-system")
    cluster.sleep(240)
    images = {p["spec"]["containers"][0]["image"] for p in listed(cluster, "Pod", **space)}
    assert images == {"fluentd:v6"}
    status = cluster.api.get("DaemonSet", "fluentd", "kube-system")["status"]
    assert (status["desiredNumberScheduled"], status["numberReady"]) == (4, 4)


def test_a_network_policy_is_kept(cluster: Cluster) -> None:
    """It is shown with its selector; an invalid one is refused."""
    apply(cluster, "networkpolicy")
    (row,) = cluster.get("networkpolicies").rows
    assert "role=db" in row
    policy = cluster.api.get("NetworkPolicy", "database", "default")
    policy["spec"]["ingress"][0]["from"][0]["ipBlock"]["cidr"] = "172.17.0.0/33"
    with pytest.raises(Invalid):
        cluster.api.update(policy)


def test_the_rbac_set(cluster: Cluster) -> None:
    """They grant what they name, where they name it; the role of a binding never changes."""
    apply(cluster, "rbac")
    assert names(cluster, "Role") == ["pod-reader"]
    assert "shop:node-reader" in names(cluster, "ClusterRole", namespace=None)
    allowed = {
        question
        for question in (
            "get pods default",
            "get pods/log default",
            "delete pods default",
            "get pods kube-system",
            "list nodes",
            "delete nodes",
        )
        if " may not " not in cluster.explain(f"access/{READER} {question}").latest.verdict
    }
    assert allowed == {"get pods default", "get pods/log default", "list nodes"}
    binding = cluster.api.get("RoleBinding", "read-pods", "default")
    binding["roleRef"]["name"] = "other"
    with pytest.raises(Invalid, match="cannot change roleRef"):
        cluster.api.update(binding)


def test_the_custom_kind(cluster: Cluster) -> None:
    """Its columns, defaults, rules, scale and short name; it goes with its definition."""
    apply(cluster, "crd")
    assert cluster.api.get("CronTab", "my-cron", "default")["spec"]["replicas"] == 1
    (row,) = cluster.get("ct").rows
    assert "* * * * */5" in row
    wrong = {"apiVersion": "stable.example.com/v1", "kind": "CronTab"}
    wrong |= {"metadata": {"name": "wrong"}, "spec": {"cronSpec": "* * * *", "replicas": 15}}
    with pytest.raises(Invalid) as refused:
        cluster.api.create(wrong)
    assert {cause.field for cause in refused.value.causes} == {"spec.cronSpec", "spec.replicas"}
    cluster.api.update_scale("CronTab", "my-cron", replicas=3)
    assert cluster.api.get("CronTab", "my-cron", "default")["spec"]["replicas"] == 3
    cluster.api.delete("CustomResourceDefinition", "crontabs.stable.example.com")
    cluster.sleep(5)
    with pytest.raises(NotFound, match='resource type "crontabs"'):
        cluster.api.list("crontabs")
