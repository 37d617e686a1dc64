"""Metrics over HTTP: resource, custom and external metrics, as kubectl get --raw reads them."""

from __future__ import annotations

from typing import Any

import pytest
from kube_http import Kube, kube

from kubesim import Cluster

CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default"
pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def served() -> Any:
    """A cluster with a pod and some metrics."""
    with kube() as (cluster, ask):
        cluster.metrics.external("messages", 20, labels={"queue": "mail"})
        cluster.metrics.external("messages", 5.5, labels={"queue": "post"})
        cluster.metrics.external("broken", lambda second: 1 / 0)
        cluster.metrics.object("hits", "Service", "shop", 250)
        cluster.metrics.pods("sessions", lambda pod, second: 7)
        cluster.api.create_pod("one")
        yield ask


def test_series_of_an_external_metric(served) -> None:
    """All of them, or those that a selector chooses."""
    reply = served("GET", f"{EXTERNAL}/messages")
    assert (reply.status, reply.body["kind"]) == (200, "ExternalMetricValueList")
    assert [item["value"] for item in reply.body["items"]] == ["20", "5500m"]
    reply = served("GET", f"{EXTERNAL}/messages?labelSelector=queue%3Dpost")
    assert [item["value"] for item in reply.body["items"]] == ["5500m"]
    assert served("GET", f"{EXTERNAL}/nothing").body["items"] == []


def test_a_metric_of_pods_and_of_an_object(served) -> None:
    """``*`` is every pod that has it."""
    reply = served("GET", f"{CUSTOM}/pods/*/sessions")
    values = {i["describedObject"]["name"]: i["value"] for i in reply.body["items"]}
    assert values["one"] == "7"
    assert served("GET", f"{CUSTOM}/pods/one/sessions").body["items"][0]["windowSeconds"] == 60
    reply = served("GET", f"{CUSTOM}/services/shop/hits")
    assert reply.body["items"][0]["value"] == "250"
    assert reply.body["items"][0]["describedObject"]["kind"] == "Service"


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", f"{CUSTOM}/services/shop/misses", 404, "no metric misses"),
        ("GET", f"{CUSTOM}/services/shop", 404, "could not find"),
        ("GET", f"{CUSTOM}/spaceships/x/hits", 404, "spaceships"),
        ("GET", f"{EXTERNAL}/broken", 500, "ZeroDivisionError"),
        ("GET", f"{EXTERNAL}/messages/more", 404, "could not find"),
        ("POST", f"{EXTERNAL}/messages", 405, "does not allow"),
        ("GET", "/apis/external.metrics.k8s.io/v9/namespaces/default/messages", 404, "could not"),
        ("GET", f"{EXTERNAL}/messages?labelSelector=a%3D%3D%3Db", 400, "unable to parse"),
    ],
)
def test_what_does_not_exist_is_a_status(served, method, path, status, message) -> None:
    """With code, reason and a message that helps."""
    reply = served(method, path, {} if method == "POST" else None)
    assert (reply.status, reply.body["kind"]) == (status, "Status")
    assert message in reply.body["message"]


def test_resource_metrics_are_those_of_the_metrics_server() -> None:
    """`kubectl top`: pods and nodes with its window, and no watch, as in a real cluster."""
    with Cluster(nodes=2, seed=1, metrics_resolution=15) as cluster:
        ask = Kube(cluster.serve())
        cluster.sleep(40)
        group = "/apis/metrics.k8s.io/v1beta1"
        pods = ask("GET", f"{group}/namespaces/default/pods").body["items"]
        assert [(pod["metadata"]["name"], pod["window"]) for pod in pods] == [("auto-pod-0", "15s")]
        nodes = ask("GET", f"{group}/nodes").body["items"]
        assert sum(int(node["usage"]["cpu"].rstrip("m")) for node in nodes) == int(
            pods[0]["containers"][0]["usage"]["cpu"].rstrip("m")
        )
        one = ask("GET", f"{group}/namespaces/default/pods/auto-pod-0")
        assert one.body["timestamp"] == pods[0]["timestamp"]
        watch = ask("GET", f"{group}/namespaces/default/pods?watch=true")
        assert watch.status == 405
