"""A miniature controller, and what happens to it when watch events are lost or arrive twice.

The pods are real pods of a cluster and the events come from its watch, but your function decides
what to do. From time to time a random pod is deleted; the seed is fixed, so every run is the same.

Kubernetes' counterpart: any controller (pkg/controller), and chaos testing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from kubesim import Cluster, Table
from kubesim.objects import Document, meta
from kubesim.objects.pods import phase_of

SEED = 7
DESIRED = 5
KILL_EVERY_SECONDS = 10
RESYNC_SECONDS = 30  # how often the controller runs even without events
RESYNC = "RESYNC"  # the event of a resync
LABELS = {"app": "toy"}

Pods = Sequence[Mapping[str, str]]
React = Callable[[str, int, Pods], tuple[int, Sequence[str]]]
"""react(event, desired, pods) -> (number of pods to create, names of pods to delete)."""


@dataclass
class Toy:
    """A controller that keeps a number of pods in one cluster.

    Attributes:
        cluster: the cluster of the pods.
        react: your function.
        desired: the desired number of pods.
        lost: share of the watch events that never arrive, 0 to 1.
        twice: every event arrives twice.
        acted: (desired, pods, created, deleted) of each call.
    """

    cluster: Cluster
    react: React
    desired: int = DESIRED
    lost: float = 0.0
    twice: bool = False
    acted: list[tuple[int, Pods, int, Sequence[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loss_random = Random(SEED)
        self._kill_random = Random(SEED + 1)
        self._created = 0
        self._watch = self.cluster.api.watch("Pod")
        for _ in range(self.desired):
            self._create_pod()

    def pods(self) -> list[dict[str, str]]:
        """Return name and phase of each pod that is not terminating."""
        return [
            {"name": meta.name_of(pod), "phase": phase_of(pod)}
            for pod in self.cluster.api.list("Pod", "default")["items"]
            if not meta.is_terminating(pod)
        ]

    def alive(self) -> list[str]:
        """Return the names of the pods that are Pending or Running."""
        return [pod["name"] for pod in self.pods() if pod["phase"] in ("Pending", "Running")]

    def resize(self, desired: int) -> None:
        """Change the desired number of pods; the next event tells your function."""
        self.desired = desired

    def run(self, seconds: int, *, kill: bool = True, fail: bool = False) -> None:
        """Let time pass, and deliver the watch events each second.

        Args:
            seconds: simulated time.
            kill: delete a random pod every ten seconds.
            fail: every third new pod exits with an error.
        """
        self._fail = fail
        for second in range(1, seconds + 1):
            self.cluster.sleep(1)
            alive = self.alive()
            if kill and second % KILL_EVERY_SECONDS == KILL_EVERY_SECONDS // 2 and alive:
                self.cluster.api.delete("Pod", self._kill_random.choice(alive))
            for event in self._watch.poll():
                if self._loss_random.random() >= self.lost:
                    self._deliver(event.type)
                    if self.twice:
                        self._deliver(event.type)
            if second % RESYNC_SECONDS == 0:
                self._deliver(RESYNC)

    def _deliver(self, event: str) -> None:
        pods = self.pods()
        create, delete = self.react(event, self.desired, pods)
        self.acted.append((self.desired, pods, create, delete))
        for _ in range(create):
            self._create_pod()
        for name in delete:
            self.cluster.api.delete("Pod", name)

    _fail = False

    def _create_pod(self) -> None:
        self._created += 1
        metadata: Document = {"name": f"toy-{self._created}", "labels": LABELS}
        spec: Document = {"containers": [{"name": "main", "image": "toy"}]}
        if self._fail and self._created % 3 == 0:
            metadata["annotations"] = {"kubesim.dev/run-seconds": "5", "kubesim.dev/exit-code": "1"}
            spec["restartPolicy"] = "Never"
        self.cluster.api.create({"kind": "Pod", "metadata": metadata, "spec": spec})


def race(
    *reactions: Callable[[str, int, Pods], int],
    lost: float = 0.0,
    twice: bool = False,
    seconds: int = 300,
    every: int = 60,
) -> Table:
    """Let functions keep five pods each, while one pod is deleted every ten seconds.

    Args:
        reactions: react(event, desired, pods) -> pods to create; below 0: pods to delete.
        lost: share of the watch events that never arrive; the same events for each function.
        twice: every event arrives twice.
        seconds: simulated time.
        every: seconds between two rows.

    Returns:
        the number of pods of each function over time.
    """
    columns = []
    for reaction in reactions:
        with Cluster(nodes=2, seed=SEED, hpa=False) as cluster:
            toy = Toy(cluster, _as_react(reaction), lost=lost, twice=twice)
            toy.run(5, kill=False)
            counts = []
            for _ in range(seconds // every):
                toy.run(every)
                counts.append(len(toy.alive()))
            columns.append(counts)
    times = [every * (row + 1) for row in range(seconds // every)]
    names = [f"pods by {reaction.__name__}" for reaction in reactions]
    rows = list(zip(times, [DESIRED] * len(times), *columns, strict=True))
    return Table(("time [s]", "desired", *names), rows)


def _as_react(reaction: Callable[[str, int, Pods], int]) -> React:
    def react(event: str, desired: int, pods: Pods) -> tuple[int, Sequence[str]]:
        number = reaction(event, desired, pods)
        return max(0, number), [pod["name"] for pod in pods[: max(0, -number)]]

    return react


__all__ = ["Toy", "race"]
