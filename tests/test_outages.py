"""A crashed controller: after the restart it does what it missed."""

from __future__ import annotations

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest, NotFound


def web(replicas: int) -> dict[str, object]:
    """A Deployment."""
    labels = {"app": "web"}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "web:1"}]},
            },
        },
    }


def names(cluster: Cluster) -> set[str]:
    """The pods by name."""
    return {pod["name"] for pod in cluster.api.list_pods()}


@pytest.mark.parametrize("kind", ["virtual", pytest.param("live", marks=pytest.mark.live)])
def test_what_was_missed_is_done_after_a_restart(kind: str) -> None:
    """Pods that were deleted during the outage are replaced after the list."""
    with Cluster(nodes=2, hpa=False, clock=kind, speed=50) as cluster:
        cluster.api.create(web(4))
        assert cluster.wait_until(lambda: len(names(cluster)) == 4, 3_000)
        controller = cluster.controller("replicaset-controller")
        controller.crash()
        assert repr(controller) == "replicaset-controller: crashed"
        for name in sorted(names(cluster))[:3]:
            cluster.api.delete("Pod", name)
        assert cluster.wait_until(lambda: len(names(cluster)) == 1, 3_000)
        cluster.sleep(30)
        assert len(names(cluster)) == 1
        controller.restart()
        assert cluster.wait_until(lambda: len(names(cluster)) == 4, 3_000)
        assert cluster.controller("replicaset-controller").running


def test_a_change_of_mind_while_it_was_away_counts_once() -> None:
    """5, 9, then 3: only the last size matters."""
    with Cluster(nodes=2, hpa=False) as cluster:
        cluster.api.create(web(2))
        cluster.sleep(5)
        cluster.controller("deployment-controller").crash()
        for replicas in (5, 9, 3):
            cluster.api.patch("Deployment", "web", {"spec": {"replicas": replicas}})
            cluster.sleep(5)
        assert len(names(cluster)) == 2
        cluster.controller("deployment-controller").restart()
        cluster.sleep(5)
        assert len(names(cluster)) == 3


def test_what_makes_no_sense_is_refused() -> None:
    """No such controller, or one that runs."""
    with Cluster(nodes=1, hpa=False) as cluster:
        with pytest.raises(NotFound, match="replica-controller"):
            cluster.controller("replica-controller")
        with pytest.raises(BadRequest, match="runs"):
            cluster.controller("replicaset-controller").restart()
