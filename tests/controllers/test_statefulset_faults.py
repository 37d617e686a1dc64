"""StatefulSets under random actions: they converge."""

from __future__ import annotations

import random
from typing import Any

import pytest
from controller_faults import controller_of

from kubesim import Cluster
from kubesim.controllers.statefulset.controller import StatefulSetController
from kubesim.errors import BadRequest
from kubesim.simple import autopod


def meddle(cluster: Cluster, rng: random.Random) -> None:
    """One thing that people do to a StatefulSet, or that happens to it."""

    def template(**notes: Any) -> None:
        pods = {"metadata": {"annotations": notes}}
        cluster.api.patch("StatefulSet", "db", {"spec": {"template": pods}})

    def kill() -> None:
        pods = cluster.api.list("Pod")["items"]
        if pods:
            cluster.api.delete("Pod", rng.choice(pods)["metadata"]["name"])

    def partition() -> None:
        strategy = {"rollingUpdate": {"partition": rng.randint(0, 3)}}
        cluster.api.patch("StatefulSet", "db", {"spec": {"updateStrategy": strategy}})

    deeds: list[Any] = [
        lambda: template(v=rng.choice("abc"), **{"kubesim.dev/start-seconds": None}),
        lambda: template(v="bad", **{"kubesim.dev/start-seconds": "100000"}),
        lambda: cluster.api.update_scale("StatefulSet", "db", replicas=rng.randint(0, 5)),
        lambda: cluster.api.patch(
            "StatefulSet", "db", {"spec": {"ordinals": {"start": rng.randint(0, 2)}}}
        ),
        kill,
        partition,
        cluster.rollout("sts/db").undo,
        cluster.rollout("sts/db").restart,
    ]
    try:
        rng.choice(deeds)()
    except BadRequest:  # nothing to go back to, or restarted in this second: kubectl would say so
        cluster.clock.sleep(0.1)


@pytest.mark.parametrize(
    ("seed", "policy"),
    [(seed, ("OrderedReady", "Parallel")[seed % 2]) for seed in range(16)],
)
def test_whatever_is_done_to_it_it_ends_where_it_should(seed: int, policy: str) -> None:
    """Thirty random actions, a good template, broken pods deleted by hand: complete."""
    rng = random.Random(seed)
    with Cluster(nodes=3, seed=seed, hpa=False) as cluster:
        created = autopod.workload("db", replicas=3)
        created["spec"]["podManagementPolicy"] = policy
        cluster.api.create(created)
        for _ in range(30):
            meddle(cluster, rng)
            cluster.sleep(rng.choice((0.0, 0.3, 1.0, 3.0, 20.0)))
        pods = {"metadata": {"annotations": {"v": "last", "kubesim.dev/start-seconds": None}}}
        cluster.api.patch(
            "StatefulSet",
            "db",
            {
                "spec": {
                    "replicas": 4,
                    "ordinals": {"start": 1},
                    "updateStrategy": {"rollingUpdate": {"partition": 0}},
                    "template": pods,
                }
            },
        )
        for _ in range(6):
            cluster.sleep(60)
            for pod in cluster.api.list("Pod")["items"]:
                if pod["status"].get("phase") == "Pending":
                    cluster.api.delete("Pod", pod["metadata"]["name"])  # the known trap
        cluster.sleep(60)
        result = {
            pod["metadata"]["name"]: pod["metadata"]["annotations"]["v"]
            for pod in cluster.api.list("Pod")["items"]
        }
        assert result == {f"db-{ordinal}": "last" for ordinal in (1, 2, 3, 4)}
        status = cluster.api.get("StatefulSet", "db")["status"]
        assert status["currentRevision"] == status["updateRevision"]
        assert status["readyReplicas"] == status["updatedReplicas"] == 4
        controller = controller_of(cluster, StatefulSetController)
        assert controller.statistics().get("errors", 0) == 0
        numbers = [version.number for version in cluster.rollout("sts/db").versions()]
        assert len(set(numbers)) == len(numbers)
        kept = {
            v.holder["metadata"]["name"]: v.number for v in cluster.rollout("sts/db").versions()
        }
        assert kept[status["updateRevision"]] == max(numbers)
