"""Custom and external metrics through the API server: numbers, functions, and the traffic's own."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest, NotFound
from kubesim.traffic import Queue

NAME = "auto-pod"


def external(name: str, *, labels: dict[str, str] | None = None, **target: str) -> dict[str, Any]:
    """An entry of spec.metrics."""
    metric: dict[str, Any] = {"name": name}
    if labels is not None:
        metric["selector"] = {"matchLabels": labels}
    kind = "AverageValue" if "averageValue" in target else "Value"
    return {"type": "External", "external": {"metric": metric, "target": {"type": kind, **target}}}


def watch(cluster: Cluster, *metrics: dict[str, Any]) -> None:
    """Give the HPA these metrics."""
    hpa = cluster.api.get("HorizontalPodAutoscaler", NAME)
    hpa["spec"]["metrics"] = list(metrics)
    cluster.api.update(hpa)


def size(cluster: Cluster) -> int:
    return int(cluster.api.get_scale("StatefulSet", NAME)["spec"]["replicas"])


@pytest.fixture
def cluster() -> Any:
    with Cluster(nodes=2, seed=1) as made:
        yield made


def test_a_constant_external_metric_scales(cluster: Cluster) -> None:
    """45 messages, 10 for each pod: 5 pods."""
    cluster.metrics.external("messages", 45)
    watch(cluster, external("messages", averageValue="10"))
    cluster.sleep(20)
    assert size(cluster) == 5


def test_a_function_is_asked_with_the_second(cluster: Cluster) -> None:
    """It grows by one pod's worth each 20 s."""
    cluster.metrics.external("messages", lambda second: second / 2)
    watch(cluster, external("messages", averageValue="10"))
    cluster.sleep(61)
    assert size(cluster) == 3


def test_series_are_chosen_by_labels_and_added_up(cluster: Cluster) -> None:
    """Two queues in the mail room, one elsewhere."""
    cluster.metrics.external("messages", 20, labels={"room": "mail", "queue": "a"})
    cluster.metrics.external("messages", 15, labels={"room": "mail", "queue": "b"})
    cluster.metrics.external("messages", 900, labels={"room": "attic"})
    watch(cluster, external("messages", labels={"room": "mail"}, averageValue="10"))
    cluster.sleep(20)
    assert size(cluster) == 4
    assert cluster.api.external_metrics("messages", label_selector="queue=b")["items"] == [
        {"metricName": "messages", "timestamp": "2025-01-01T00:00:20Z", "value": "15"}
    ]


def test_an_object_and_a_pods_metric(cluster: Cluster) -> None:
    """Object: 250 of 100; Pods: 12 sessions a pod against 4."""
    cluster.metrics.object("hits", "Ingress", "front", 250)
    cluster.metrics.pods("sessions", lambda pod, second: 12 if pod.endswith("0") else 4)
    about = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "front"}
    hits = {
        "describedObject": about,
        "metric": {"name": "hits"},
        "target": {"type": "AverageValue", "averageValue": "100"},
    }
    watch(cluster, {"type": "Object", "object": hits})
    cluster.sleep(20)
    assert size(cluster) == 3
    sessions = {
        "metric": {"name": "sessions"},
        "target": {"type": "AverageValue", "averageValue": "4"},
    }
    watch(cluster, {"type": "Pods", "pods": sessions})
    cluster.sleep(6)
    assert size(cluster) == 5  # (12 + 4 + 4) / 3 = 6.666; 6.666 / 4 x 3
    listed = cluster.api.custom_metrics("Pod", "*", "sessions")
    assert listed["items"][0] == {
        "describedObject": {"kind": "Pod", "namespace": "default", "name": "auto-pod-0"},
        "metric": {"name": "sessions"},
        "timestamp": "2025-01-01T00:00:26Z",
        "windowSeconds": 60,
        "value": "12",
    }
    assert cluster.api.custom_metrics("Ingress", "front", "hits")["items"][0]["value"] == "250"


def test_the_traffic_s_own_figures_need_no_function(cluster: Cluster) -> None:
    """Requests per second of the route, 25 a pod."""
    cluster.set_traffic(100)
    watch(cluster, external("requests_per_second", labels={"service": NAME}, averageValue="25"))
    cluster.sleep(20)
    assert size(cluster) == 4
    pods = cluster.api.custom_metrics("Pod", "*", "requests_per_second")["items"]
    assert [item["value"] for item in pods] == ["25"] * 4


def test_a_queue_s_length_is_a_metric(cluster: Cluster) -> None:
    """100 requests/s on one pod that serves 48: the queue calls for more."""
    cluster.set_traffic(100, queue=Queue(limit=1e6, timeout_seconds=600))
    watch(cluster, external("queue_length", averageValue="30"))
    cluster.sleep(7)
    waiting = cluster.traffic.last(NAME).queued
    service = cluster.api.custom_metrics("Service", NAME, "queue_length")["items"][0]
    assert waiting > 50 and service["value"] == f"{waiting:g}"
    cluster.sleep(60)
    assert size(cluster) >= 4
    assert cluster.traffic.last(NAME).queued == 0


def test_what_is_not_there_fails_with_a_reason(cluster: Cluster) -> None:
    """A missing series is not zero; the error for an object metric lists those that exist."""
    cluster.metrics.external("messages", 5)
    watch(cluster, external("letters", averageValue="10"))
    cluster.sleep(6)
    conditions = cluster.api.get("HorizontalPodAutoscaler", NAME)["status"]["conditions"]
    assert conditions[1]["reason"] == "FailedGetExternalMetric"
    assert "no metrics returned from external metrics API" in conditions[1]["message"]
    with pytest.raises(LookupError, match="messages"):
        cluster.api.custom_metrics("Service", "shop", "hits")
    with pytest.raises(NotFound):
        cluster.api.custom_metrics("Pod", "*", "hits")
    cluster.metrics.remove("messages")
    assert cluster.api.external_metrics("messages")["items"] == []


def test_a_function_that_raises_fails_its_metric_alone(cluster: Cluster) -> None:
    """The other one still scales the workload up."""
    cluster.metrics.external("broken", lambda second: 1 / 0)
    cluster.metrics.external("messages", 30)
    watch(cluster, external("broken", averageValue="10"), external("messages", averageValue="10"))
    cluster.sleep(11)
    assert size(cluster) == 3
    said = [e["message"] for e in cluster.api.list("Event")["items"]]
    assert any("ZeroDivisionError" in message for message in said)


@pytest.mark.parametrize("value", ["ten", None, True, float("nan"), float("inf")])
def test_a_metric_is_a_number_or_a_function(cluster: Cluster, value: Any) -> None:
    """Anything else is refused at once."""
    with pytest.raises(BadRequest):
        cluster.metrics.external("messages", value)


def test_with_a_resolution_the_last_reading_is_served() -> None:
    """Read each 30 s: a leap at second 31 is seen at 60."""
    with Cluster(nodes=2, seed=1, custom_metrics_resolution=30) as cluster:
        cluster.metrics.external("messages", lambda second: 10 if second < 31 else 60)
        cluster.metrics.pods("sessions", 3)
        watch(cluster, external("messages", averageValue="10"))
        cluster.sleep(20)
        assert cluster.api.external_metrics("messages")["items"] == []  # not read yet
        cluster.sleep(36)
        assert size(cluster) == 1
        cluster.sleep(10)
        assert size(cluster) == 6
        (first, *_) = cluster.api.custom_metrics("Pod", "*", "sessions")["items"]
        assert first["timestamp"] == "2025-01-01T00:01:00Z"


def test_a_reading_that_raises_is_told() -> None:
    """An error row in the log; the metric has no value until the next reading."""
    with Cluster(nodes=1, seed=1, custom_metrics_resolution=10) as cluster:
        cluster.metrics.external("broken", lambda second: 1 / 0)
        cluster.sleep(11)
        row = cluster.analytics.since(component="Metrics", level="error").rows[-1]
        assert "ZeroDivisionError" in row.message
        assert cluster.api.external_metrics("broken")["items"] == []
    with pytest.raises(BadRequest):
        Cluster(nodes=0, custom_metrics_resolution=-1)


def test_without_an_adapter_nobody_serves_them() -> None:
    """An API server by itself."""
    from hpa_world import World

    world = World()
    with pytest.raises(NotFound, match="no adapter serves it"):
        world.api.custom_metrics("Pod", "*", "hits")
