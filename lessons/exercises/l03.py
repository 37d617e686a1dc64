"""Exercises of lesson 3: the life of a pod."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from kubesim import Cluster
from kubesim.kubelet.pod.backoff import CrashBackOff
from lessons.check import Question, Task
from lessons.feedback.answers import a_class, a_dict, a_list_of
from lessons.feedback.faults import short


class UsageModel(Protocol):
    """A workload model."""

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """Return CPU in millicores and memory in bytes."""


def _check_delays(delays: Sequence[float]) -> str | None:
    backoff = CrashBackOff()
    right = [backoff.delay(0.0) for _ in range(5)]
    if list(delays) == right:
        return None
    if list(delays) == [10, 20, 40, 80, 160]:
        return "almost: the first restart has no delay"
    return "the delays double; read the times of the BackOff rows in the crashing pod's log"


def _check_model(factory: Callable[[], UsageModel]) -> str | None:
    model = factory()
    for second, expected in ((0, 100), (30, 150), (59, 198), (60, 100), (90, 150)):
        usage = model.usage(float(second), None)
        if not isinstance(usage, (list, tuple)) or len(usage) != 2:
            return f"return two values, millicores and bytes; yours returns {short(usage)}"
        cpu, _memory = usage
        if abs(cpu - expected) > 3:
            return f"at second {second} the CPU should be about {expected}m, but it is {cpu}m"
    manifest = {
        "kind": "Pod",
        "metadata": {
            "name": "saw",
            "annotations": {"kubesim.dev/workload": '{"model": "mine"}'},
        },
        "spec": {"containers": [{"name": "main", "image": "saw"}]},
    }
    with Cluster(nodes=1, hpa=False, workloads={"mine": lambda _context: factory()}) as cluster:
        cluster.api.create(manifest)
        cluster.sleep(30)
        record = cluster.api.list_pods()[0]
        if record["status"] != "Running":
            return f"the pod is {record['status']}: {record['logs'][-1:]}"
        if not 100 <= record["cpu"] <= 200:
            return f"in a cluster it uses {record['cpu']}m"
    return None


class Saw:
    """The solution: from 100 to 200 millicores within each minute."""

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """Return CPU in millicores and memory in bytes."""
        return 100 + int(now % 60 / 60 * 100), 60_000_000


class _Flat:
    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        return 150, 60_000_000


class _NeverFalls:
    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        return 100 + int(now / 60 * 100), 60_000_000


def _check_policies(answer: dict[str, str]) -> str | None:
    right = {"web server": "Always", "retry until it works": "OnFailure", "run once": "Never"}
    for case, policy in right.items():
        if answer.get(case) != policy:
            return f"{case}: {answer.get(case)!r} would {_WRONG.get(str(answer.get(case)), 'not work')}"
    return None


_WRONG = {
    "Always": "start it again even after exit code 0",
    "OnFailure": "start it again after every failure, and only then",
    "Never": "never start it again",
}

q1 = Task(
    "3.1",
    "the first five restart delays",
    _check_delays,
    (
        "Read the times in the crashing pod's log: when did it exit, when did it start again?",
        "0, 10, 20 and so on: from the second delay on, each is twice the previous one.",
    ),
    "[0, 10, 20, 40, 80]",
    [0, 10, 20, 40, 80],
    ([10, 20, 40, 80, 160], [1, 2, 4, 8, 16]),
    a_list_of(int, 5, "[1, 2, 3, 4, 5]"),
)

q2 = Task(
    "3.2",
    "your own workload model",
    _check_model,
    (
        "now % 60 is the second within the minute.",
        "CPU = 100 + (now % 60) / 60 * 100, as a whole number; the memory does not matter.",
    ),
    """class Saw:
    def usage(self, now, load):
        return 100 + int(now % 60 / 60 * 100), 60_000_000""",
    Saw,
    (_Flat, _NeverFalls),
    a_class("Saw", "usage", "now", "load"),
)

bonus = Task(
    "3.3",
    "which restart policy (bonus)",
    _check_policies,
    ("Always is for servers, OnFailure for what must succeed once, Never for a single attempt.",),
    '{"web server": "Always", "retry until it works": "OnFailure", "run once": "Never"}',
    {"web server": "Always", "retry until it works": "OnFailure", "run once": "Never"},
    (
        {"web server": "OnFailure", "retry until it works": "OnFailure", "run once": "Never"},
        {"web server": "Always", "retry until it works": "Always", "run once": "Never"},
    ),
    a_dict('{"web server": "...", "retry until it works": "...", "run once": "..."}'),
)

questions = (
    Question(
        "kubectl shows CrashLoopBackOff. What is the pod's phase?",
        {
            "a": ("CrashLoopBackOff", False, "that is why its container waits; it is not a phase"),
            "b": ("Running", True, "with restartPolicy Always, such a pod stays Running"),
            "c": ("Failed", False, "Failed is final: the pod would never be started again"),
        },
    ),
    Question(
        "A running pod is deleted. When is its object removed from the store?",
        {
            "a": (
                "when its kubelet has stopped it",
                True,
                "the kubelet then deletes the object, with a grace period of 0",
            ),
            "b": ("at once", False, "first it is only marked, with a deletionTimestamp"),
            "c": ("after 30 seconds, always", False, "30 s is the maximum, not the rule"),
        },
    ),
    Question(
        "Why does the simulator not start 10,000 threads for 10,000 pods?",
        {
            "a": ("the operating system forbids it", False, "most would allow it"),
            "b": (
                "a pod works more slowly in a thread",
                False,
                "it does the same work either way, and mostly it sleeps",
            ),
            "c": (
                "they would compete for the interpreter when they wake",
                True,
                "so beyond a thousand they share one paced loop",
            ),
        },
    ),
)
