"""A controller in miniature, and what becomes of it when news are lost or come twice.

The pods are real ones of a cluster and the news come from its watch; but what is done about them
is a function of the learner's. Now and then a pod is killed by chance, always the same chance.

Real counterpart: any controller (pkg/controller), and chaos testing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from kubesim import Cluster, Table
from kubesim.objects import meta
from kubesim.objects.pods import phase_of

SEED = 7
WANTED = 5
KILL_EVERY_SECONDS = 10
RESYNC_SECONDS = 30  # so often it looks even if there are no news
LOOK = "LOOK"  # the event of such a look
LABELS = {"app": "toy"}

Pods = Sequence[Mapping[str, str]]
React = Callable[[str, int, Pods], tuple[int, Sequence[str]]]
"""react(event, wanted, pods) -> (how many pods to make, names of pods to delete)."""


@dataclass
class Toy:
    """One controller that sees to the pods of one cluster.

    Attributes:
        cluster: where the pods live.
        react: the learner's function.
        wanted: so many pods there should be.
        lost: share of the news that never arrive, 0 to 1.
        twice: news arrive twice.
        acted: (wanted, pods seen, made, deleted) of each call.
    """

    cluster: Cluster
    react: React
    wanted: int = WANTED
    lost: float = 0.0
    twice: bool = False
    acted: list[tuple[int, Pods, int, Sequence[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = Random(SEED)
        self._killer = Random(SEED + 1)
        self._made = 0
        self._watch = self.cluster.api.watch("Pod")
        for _ in range(self.wanted):
            self._make()

    def pods(self) -> list[dict[str, str]]:
        """Name and phase of each pod that is not being stopped."""
        return [
            {"name": meta.name_of(pod), "phase": phase_of(pod)}
            for pod in self.cluster.api.list("Pod", "default")["items"]
            if not meta.is_terminating(pod)
        ]

    def alive(self) -> list[str]:
        """Names of the pods that have not ended."""
        return [pod["name"] for pod in self.pods() if pod["phase"] in ("Pending", "Running")]

    def run(self, seconds: int, *, kill: bool = True, fail: bool = False) -> None:
        """Let time pass; news are handed on each second.

        Args:
            seconds: simulated time.
            kill: each ten seconds a pod is deleted by chance.
            fail: each pod that is made by chance ends by itself with an error.
        """
        self._fail = fail
        for second in range(1, seconds + 1):
            self.cluster.sleep(1)
            alive = self.alive()
            if kill and second % KILL_EVERY_SECONDS == KILL_EVERY_SECONDS // 2 and alive:
                self.cluster.api.delete("Pod", self._killer.choice(alive))
            for event in self._watch.poll():
                if self._chance.random() >= self.lost:
                    self._tell(event.type)
                    if self.twice:
                        self._tell(event.type)
            if second % RESYNC_SECONDS == 0:
                self._tell(LOOK)

    def _tell(self, event: str) -> None:
        seen = self.pods()
        make, delete = self.react(event, self.wanted, seen)
        self.acted.append((self.wanted, seen, make, delete))
        for _ in range(make):
            self._make()
        for name in delete:
            self.cluster.api.delete("Pod", name)

    _fail = False

    def _make(self) -> None:
        self._made += 1
        metadata: dict[str, Any] = {"name": f"toy-{self._made}", "labels": LABELS}
        spec: dict[str, Any] = {"containers": [{"name": "main", "image": "toy"}]}
        if self._fail and self._made % 3 == 0:
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
    """Let functions see to five pods each, of which one is killed each ten seconds.

    Args:
        reactions: react(event, wanted, pods) -> pods to make; below 0: pods to delete.
        lost: share of the news that never arrive; the same ones for each.
        twice: news arrive twice.
        seconds: simulated time.
        every: seconds between two rows.

    Returns:
        How many pods each has after so many seconds.
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
    rows = list(zip(times, [WANTED] * len(times), *columns, strict=True))
    return Table(("time [s]", "wanted", *names), rows)


def _as_react(reaction: Callable[[str, int, Pods], int]) -> React:
    def react(event: str, wanted: int, pods: Pods) -> tuple[int, Sequence[str]]:
        number = reaction(event, wanted, pods)
        return max(0, number), [pod["name"] for pod in pods[: max(0, -number)]]

    return react


__all__ = ["Toy", "race"]
