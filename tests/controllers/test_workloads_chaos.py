"""All workloads under random actions and failing writes: what must hold afterwards."""

from __future__ import annotations

import random
from typing import Any

import pytest
from controller_faults import Flaky, replace_controller

from kubesim import Cluster
from kubesim.clock import VirtualClock
from kubesim.controllers.daemonset.controller import DaemonSetController
from kubesim.controllers.daemonset.nodes import target_of
from kubesim.controllers.disruption.controller import DisruptionController
from kubesim.controllers.endpointslice.controller import EndpointSliceController
from kubesim.controllers.job.controller import JobController
from kubesim.controllers.job.facts import FINALIZER
from kubesim.errors import NotFound, TooManyRequests

KINDS = (DisruptionController, DaemonSetController, EndpointSliceController, JobController)
JOB_FAILURES = 1_000_000  # never too many, so that it completes in the end


def template(app: str, **notes: str) -> dict[str, Any]:
    """A small pod with label app."""
    container = {"name": "main", "image": "kubesim/pod", "resources": {"requests": {"cpu": "1m"}}}
    annotations = {f"kubesim.dev/{key.replace('_', '-')}": value for key, value in notes.items()}
    metadata = {"labels": {"app": app}, "annotations": annotations}
    return {"metadata": metadata, "spec": {"containers": [container]}}


def furnish(cluster: Cluster) -> None:
    """A Service and a budget over a ReplicaSet, a DaemonSet, and a Job."""
    api, match = cluster.api, {"matchLabels": {"app": "web"}}
    web = {"replicas": 5, "selector": match, "template": template("web")}
    api.create({"kind": "ReplicaSet", "metadata": {"name": "web"}, "spec": web})
    serves = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    api.create({"kind": "Service", "metadata": {"name": "web"}, "spec": serves})
    keeps = {"selector": match, "maxUnavailable": "40%"}
    api.create({"kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": keeps})
    agent = {"selector": {"matchLabels": {"app": "agent"}}, "template": template("agent")}
    api.create({"kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": agent})
    work = template("work", run_seconds="7")
    work["spec"]["restartPolicy"] = "Never"
    job = {"completions": 30, "parallelism": 3, "backoffLimit": JOB_FAILURES, "template": work}
    api.create({"kind": "Job", "metadata": {"name": "work"}, "spec": job})


def deed(cluster: Cluster, rng: random.Random) -> None:
    """One thing that a person, or bad luck, might do."""
    api = cluster.api
    pods = [p["metadata"]["name"] for p in api.snapshot("Pod")[0]]
    node = f"node-{rng.randint(1, 4)}"
    match rng.randrange(9):
        case 0 | 1 if pods:
            api.delete("Pod", rng.choice(pods))
        case 2 if pods:
            api.evict(rng.choice(pods))
        case 3:
            api.update_scale("ReplicaSet", "web", replicas=rng.randint(1, 7))
        case 4:
            taints = [{"key": "odd", "effect": rng.choice(["NoSchedule", "NoExecute"])}]
            api.patch("Node", node, {"spec": {"taints": rng.choice([taints, []])}})
        case 5:
            image = {"name": "main", "image": f"kubesim/pod:{rng.randint(1, 3)}"}
            patch = {"spec": {"template": {"spec": {"containers": [image]}}}}
            api.patch("DaemonSet", "agent", patch, patch_type="strategic")
        case 6:
            api.patch("Job", "work", {"spec": {"suspend": rng.random() < 0.5}})
        case 7:
            api.patch("Job", "work", {"spec": {"parallelism": rng.randint(0, 4)}})
        case 8:
            replace_controller(cluster, rng.choice(KINDS))


def check(cluster: Cluster) -> None:
    """What must hold when nothing has happened for a while."""
    api = cluster.api
    pods = [p for p in api.list("Pod")["items"] if "deletionTimestamp" not in p["metadata"]]
    web = [p for p in pods if p["metadata"]["labels"].get("app") == "web"]
    ready = sorted(p["metadata"]["name"] for p in web if is_ready(p))
    selector = "kubernetes.io/service-name=web"
    slices = api.list("EndpointSlice", label_selector=selector)["items"]
    endpoints = [each for item in slices for each in item["endpoints"]]
    assert sorted(e["targetRef"]["name"] for e in endpoints if e["conditions"]["ready"]) == ready
    budget = api.get("PodDisruptionBudget", "web")["status"]
    wanted = api.get("ReplicaSet", "web")["spec"]["replicas"]
    assert (budget["expectedPods"], budget["currentHealthy"]) == (wanted, len(ready))
    assert budget.get("disruptedPods") is None
    agents = [p for p in pods if p["metadata"]["labels"].get("app") == "agent"]
    daemonset = api.get("DaemonSet", "agent")
    image = daemonset["spec"]["template"]["spec"]["containers"][0]["image"]
    assert sorted(map(target_of, agents)) == [f"node-{n}" for n in range(1, 5)]
    assert {p["spec"]["containers"][0]["image"] for p in agents} == {image}
    assert daemonset["status"]["numberAvailable"] == 4
    status = api.get("Job", "work")["status"]
    assert [c["type"] for c in status["conditions"] if c["status"] == "True"][-1] == "Complete"
    # Some pods of it were deleted after they had succeeded: the counter remembers them.
    assert status["succeeded"] == 30
    assert status["uncountedTerminatedPods"] == {}
    assert not any(FINALIZER in p["metadata"].get("finalizers", ()) for p in pods)


def is_ready(pod: dict[str, Any]) -> bool:
    """Condition Ready is True."""
    listed = pod["status"].get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in listed)


@pytest.mark.parametrize("seed", range(6))
def test_calm_returns_after_random_actions(seed: int) -> None:
    """Two minutes of actions, one write in twenty fails, ties shuffled; then nothing changes."""
    rng = random.Random(seed)
    with Cluster(nodes=4, seed=seed, hpa=False, clock=VirtualClock(shuffle_seed=seed)) as cluster:
        cluster.sleep(1)
        furnish(cluster)
        flaky = Flaky(cluster.api, 0.05, seed)
        for _ in range(60):
            cluster.sleep(rng.random() * 4)
            flaky.share = 0.0
            try:
                deed(cluster, rng)
            except (NotFound, TooManyRequests):
                continue  # it went by itself, or a budget said no
            finally:
                flaky.share = 0.05
        flaky.share = 0.0
        for number in range(1, 5):
            cluster.api.patch("Node", f"node-{number}", {"spec": {"taints": []}})
        cluster.api.patch("Job", "work", {"spec": {"suspend": False, "parallelism": 3}})
        cluster.sleep(1500)
        check(cluster)
        quiet = cluster.store.revision
        cluster.sleep(9)
        changes = cluster.store.watch("/registry/", quiet).poll()
        rooms = {event.kv.key.split("/")[2] for event in changes}
        assert rooms <= {"leases", "coordination.k8s.io", "metrics.k8s.io", "nodes"}
