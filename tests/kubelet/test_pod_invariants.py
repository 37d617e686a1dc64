"""Random pods under random deeds: what must hold in every state that anybody ever sees."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from kubelet_world import a_pod, container

from kubesim import Cluster
from kubesim.kubelet import ImagePulls, KubeletConfig

FINAL = ("Succeeded", "Failed")


def random_container(draw: Random, name: str, **fields: Any) -> dict[str, Any]:
    """Probes, limits, hooks, images: each with some chance."""
    made = container(
        name, image=draw.choice(["a:1", "b:1", "c:1", "gone:missing", "d:1"]), **fields
    )
    for kind in ("startup", "liveness", "readiness"):
        if draw.random() < 0.3:
            made[f"{kind}Probe"] = {
                "tcpSocket": {"port": 80},
                "periodSeconds": draw.randint(1, 5),
                "initialDelaySeconds": draw.choice([0, 0, 3]),
                "failureThreshold": draw.randint(1, 4),
            }
    if draw.random() < 0.3:
        made["resources"] = {"limits": {"memory": f"{draw.randint(60, 200)}M"}}
    if draw.random() < 0.2:
        made["lifecycle"] = {"preStop": {"sleep": {"seconds": draw.randint(1, 8)}}}
    return made


def make_valid(made: dict[str, Any], grace: int, *, plain_init: bool) -> None:
    """Remove what validation refuses: hooks longer than the grace, probes of init containers."""
    hook = (made.get("lifecycle") or {}).get("preStop")
    if plain_init:
        for field in ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle"):
            made.pop(field, None)
    elif hook and hook["sleep"]["seconds"] > grace:
        del made["lifecycle"]


def random_pod(draw: Random, number: int) -> dict[str, Any]:
    """Some containers of each kind, with fates drawn for each."""
    mains = [random_container(draw, f"m{n}") for n in range(draw.choice([1, 1, 1, 2, 3]))]
    inits = tuple(
        random_container(draw, f"i{n}", **({"restartPolicy": "Always"} if n % 2 else {}))
        for n in range(draw.choice([0, 0, 1, 2, 3]))
    )
    notes: dict[str, Any] = {}
    for made in (*mains, *inits):
        name = made["name"]
        if draw.random() < 0.5:
            notes[f"run-seconds.{name}"] = str(draw.choice([0, 1, 5, 30]))
            notes[f"exit-code.{name}"] = str(draw.choice([0, 0, 1, 3]))
        if draw.random() < 0.3:
            notes[f"stop-seconds.{name}"] = draw.choice(["0", "2", "9", "never"])
        if draw.random() < 0.3:
            notes[f"workload.{name}"] = {"model": "leak", "mb_per_second": draw.randint(1, 20)}
        notes[f"probe.{name}"] = {
            "started_after_seconds": draw.choice([0, 2, 9]),
            "flaky": draw.choice([0, 0, 0.2, 0.6]),
            "response_seconds": draw.choice([0, 0, 0.3, 2]),
        }
    spec: dict[str, Any] = {"restartPolicy": draw.choice(["Always", "OnFailure", "Never"])}
    grace = spec["terminationGracePeriodSeconds"] = draw.choice([0, 1, 5, 30])
    for made in (*mains, *inits):
        make_valid(made, grace, plain_init=made in inits and "restartPolicy" not in made)
    if draw.random() < 0.2:
        spec["activeDeadlineSeconds"] = draw.randint(5, 90)
    return a_pod(f"p{number}", *mains, init=inits, notes=notes, **spec)


def check_state(pod: dict[str, Any], before: dict[str, Any] | None) -> None:
    """What holds in one state, and from one state to the next."""
    status, spec = pod["status"], pod["spec"]
    phase, name = status.get("phase"), pod["metadata"]["name"]
    entries = {
        c["name"]: c
        for c in (*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ()))
    }
    mains = [entries[c["name"]] for c in spec["containers"] if c["name"] in entries]
    assert phase in ("Pending", "Running", *FINAL), name
    found = {c["type"]: c["status"] for c in status.get("conditions", ())}
    for entry in entries.values():
        assert len(entry["state"]) == 1, (name, entry)
        if entry["ready"] and not entry["name"].startswith("i"):
            assert "running" in entry["state"] and entry["started"], (name, entry)
        if entry["restartCount"]:
            assert "terminated" in {**entry["lastState"], **entry["state"]}, (name, entry)
    if found.get("Ready") == "True":
        assert phase == "Running" and all(entry["ready"] for entry in mains), name
    if phase == "Succeeded":
        assert all(e["state"]["terminated"]["exitCode"] == 0 for e in mains), name
    if phase in FINAL:
        running = [e["name"] for e in entries.values() if "running" in e["state"]]
        assert not running, (name, running)
    if before is None:
        return
    if before["status"].get("phase") in FINAL:
        assert phase == before["status"]["phase"], name
    for field in ("containerStatuses", "initContainerStatuses"):
        for old in before["status"].get(field, ()):
            assert entries[old["name"]]["restartCount"] >= old["restartCount"], name


@pytest.mark.parametrize("seed", range(12))
def test_what_always_holds(seed: int) -> None:
    """Twenty pods, deletions, power cuts and short memory: every state and every step is lawful."""
    draw = Random(seed)
    pulls = ImagePulls(sizes={"a:1": 10_000_000}) if draw.random() < 0.5 else None
    config = KubeletConfig(image_pull=pulls)
    with Cluster(nodes=2, seed=seed, hpa=False, node_memory="2Gi", kubelet=config) as cluster:
        watch = cluster.api.watch("Pod")
        last: dict[str, dict[str, Any]] = {}
        deleted: set[str] = set()
        for number in range(40):
            if number < 20:
                cluster.api.create(random_pod(draw, number))
            cluster.sleep(draw.choice([0.5, 3, 11, 40]))
            deed = draw.random()
            kubelet = draw.choice(cluster.kubelets)
            if deed < 0.25:
                chosen = draw.choice(cluster.api.list("Pod")["items"] or [None])
                if chosen is not None:
                    grace = draw.choice([None, None, 1, 7])
                    name = chosen["metadata"]["name"]
                    deleted.add(name)
                    cluster.api.delete("Pod", name, grace_period_seconds=grace)
            elif deed < 0.35:
                kubelet.fail()
            elif deed < 0.6:
                for dark in cluster.kubelets:
                    dark.recover()
            for event in watch.poll():
                pod = event.object
                uid = pod["metadata"]["uid"]
                check_state(pod, last.get(uid))
                last[uid] = pod
        for dark in cluster.kubelets:
            dark.recover()
        cluster.sleep(100)
        left = {pod["metadata"]["name"] for pod in cluster.api.list("Pod")["items"]}
        assert not left & deleted, "a deleted pod hangs"
        pods = {w.removeprefix("pod/default/") for w in cluster.clock.workers() if "pod/d" in w}
        ended = {
            p["metadata"]["name"]
            for p in cluster.api.list("Pod")["items"]
            if p["status"]["phase"] in FINAL
        }
        assert pods == left - ended, "a worker without a pod, or a pod without a worker"
        assert not cluster.failures
