"""The JSON list of all pod records: equal to the records, and encoded only where they changed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.kinds.metrics import document_maker
from kubesim.clock import NamedStreams, VirtualClock
from kubesim.objects.wellknown import TICK_LINE
from kubesim.simple import recordjson
from kubesim.simple.recordjson import FRESH_SECONDS
from kubesim.store import EtcdStore

sys.path.insert(0, str(Path(__file__).parents[1] / "apiserver"))
from api_builders import a_pod, a_running_pod, a_workload

Lines = dict[str, list[tuple[float, str]]]


@pytest.fixture
def logs() -> Lines:
    """The log lines of the pods by name."""
    return {}


def an_api(logs: Lines, **limits: int) -> KubeAPI:
    """A server whose store keeps little, with a node that has these logs."""
    clock = VirtualClock()
    store = EtcdStore(sample_document=document_maker(clock.timestamp), **limits)
    api = KubeAPI(store, clock, NamedStreams(0))
    api.register_log_source("node-1", lambda namespace, pod, container: logs.get(pod, []))
    return api


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pods whose records were encoded, in order."""
    names: list[str] = []
    real = recordjson._encode

    def encode(record: Any) -> str:
        names.append(record["name"])
        return real(record)

    monkeypatch.setattr(recordjson, "_encode", encode)
    return names


class Story:
    """Random changes of pods, their samples and their logs."""

    def __init__(self, api: KubeAPI, logs: Lines, seed: int) -> None:
        self.api, self.logs, self.random = api, logs, Random(seed)
        self.pods: list[str] = []
        self.serial = 0

    def change(self) -> None:
        """Make one random change."""
        random = self.random
        action = random.choice(("create", "delete", "tick", "tick", "log", "status", "restart"))
        if action == "create" or not self.pods:
            self.serial += 1
            self.pods.append(f"pod-{random.randrange(100)}-{self.serial}")
            a_running_pod(self.api, self.pods[-1])
            return
        name = random.choice(self.pods)
        now = self.api.clock.now()
        if action == "delete":
            self.pods.remove(name)
            self.api.delete("Pod", name, "default", grace_period_seconds=0)
            if random.random() < 0.5:  # a new one with the same name
                self.pods.append(name)
                a_running_pod(self.api, name)
        elif action == "tick":
            for _ in range(random.choice((1, 1, 30))):
                if all(line == TICK_LINE for _, line in self.logs.setdefault(name, [])):
                    self.logs[name].append((now, TICK_LINE))
                self.api.metrics_writer("default", name)(now, 1.0, "main", random.randrange(500), 9)
        elif action == "log":
            # Of its own program; a log of ticks shows another line with the next tick.
            if all(line != TICK_LINE for _, line in self.logs.get(name, ())):
                self.logs.setdefault(name, []).append((now, f"line {random.randrange(9)}"))
            self.api.clock.sleep(2 * FRESH_SECONDS)
        elif action == "status":
            pod = self.api.get("Pod", name)
            pod["metadata"]["annotations"] = {"a": str(random.randrange(9))}
            self.api.update(pod)
        else:
            self.api.forget_metrics("default", name)


@pytest.mark.parametrize("seed", range(6))
def test_the_list_has_all_records_after_any_changes(logs: Lines, seed: int) -> None:
    """Also if the history of the store does not reach back to the last request."""
    api = an_api(logs, history_limit=20, sample_history_limit=40)
    story = Story(api, logs, seed)
    for _ in range(120):
        for _ in range(story.random.choice((0, 1, 1, 2, 40))):
            story.change()
        assert json.loads(api.seed.list_bytes()) == api.list_pods()


def test_only_what_changed_is_encoded(logs: Lines, encoded: list[str]) -> None:
    """One sample of thirty pods, one changed pod, one line of a program's log, and nothing."""
    api = an_api(logs)
    names = [f"pod-{number:02}" for number in range(30)]
    for name in names:
        a_running_pod(api, name)
        logs[name] = [(0.0, TICK_LINE)]
    first = api.seed.list_bytes()
    assert encoded == names
    encoded.clear()
    api.metrics_writer("default", "pod-07")(1.0, 1.0, "main", 250, 64_000_000)
    assert api.seed.list_bytes() != first
    pod = api.get("Pod", "pod-03")
    pod["metadata"]["labels"] = {"a": "b"}
    api.update(pod)
    api.seed.list_bytes()
    assert encoded == ["pod-07", "pod-03"]
    encoded.clear()
    api.clock.sleep(10)
    second = api.seed.list_bytes()
    assert api.seed.list_bytes() is second
    assert encoded == []


def test_a_log_out_of_reach_is_noticed_without_samples(logs: Lines) -> None:
    """The kubelet is down: no sample comes, and no log line can be read."""
    api = an_api(logs)
    a_running_pod(api, "web")
    logs["web"] = [(0.0, TICK_LINE)]
    assert json.loads(api.seed.list_bytes())[0]["logs"] == [TICK_LINE]
    logs["web"] = []
    api.clock.sleep(2)
    assert json.loads(api.seed.list_bytes())[0]["logs"] == []


def test_equal_lists_are_one_object(logs: Lines) -> None:
    """A write that no record shows leaves it as it is."""
    api = an_api(logs)
    assert api.seed.list_bytes() == b"[]"
    a_running_pod(api, "web")
    body = api.seed.list_bytes()
    api.create({"kind": "ConfigMap", "metadata": {"name": "other"}, "data": {}})
    api.clock.sleep(5)
    assert api.seed.list_bytes() is body


def test_a_running_cluster_s_list_is_its_records() -> None:
    """Pods that tick, a Job whose program writes lines of its own, and pods that go."""
    steps = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 2; done"
    talk = {"name": "main", "image": "busybox", "command": ["sh", "-c", steps]}
    with Cluster(nodes=3, seed=4) as cluster:
        cluster.api.create(a_workload("Deployment", replicas=4))
        cluster.api.create(a_pod("talk", containers=[talk], restartPolicy="Never"))
        for number in range(40):
            cluster.sleep(0.7)
            records = cluster.api.list_pods()
            assert json.loads(cluster.api.seed.list_bytes()) == records
            if number == 20:
                assert {"1", "2"} <= {line for record in records for line in record["logs"]}
                cluster.api.patch("Deployment", "web", {"spec": {"replicas": 1}})
        assert sum(record["name"].startswith("web") for record in records) == 1
