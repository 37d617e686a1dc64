"""Policies x traffic x seeds -> a scored table, on any executor of concurrent.futures.

Runs are independent and each is a pure function of its policy, traffic, seed and world; so they may
be computed in any order, in any process, and the table is the same. A run of the model takes
milliseconds to seconds, and handing a task to another process some milliseconds; hence runs are
handed out in chunks.

    with ProcessPoolExecutor() as pool:
        compare(policies, traffic, seeds=range(100), duration=86_400, executor=pool)

What goes to another process must be picklable: classes and functions of a module, not lambdas and
not classes of a notebook cell. Without an executor everything runs here, and anything goes.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from kubesim.errors import BadRequest
from kubesim.experiment.cluster_run import run_in_cluster
from kubesim.experiment.model import simulate
from kubesim.experiment.scores import Run
from kubesim.experiment.setting import Contender, World
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.table import Table
from kubesim.traffic import Poisson, TrafficModel

CHUNK_SECONDS = 200_000.0  # simulated seconds in one task, about a second of work
DETAILS = ("model", "cluster")
FIGURES = (
    "pod hours",
    "unmet [%]",
    "p95 [ms]",
    "slow [s]",
    "scalings",
    "flaps",
    "most pods",
)

Load = TrafficModel | Callable[[int], TrafficModel]
"""A traffic model, whose requests then come by chance; or a function of the seed."""


@dataclass(frozen=True)
class _Task:
    """One run, before it is done."""

    policy: str
    contender: Contender
    traffic: str
    load: Any
    seed: int
    world: World
    duration: float
    detail: str


@dataclass(frozen=True)
class Comparison:
    """The outcome of an experiment.

    Attributes:
        runs: in the order policies, traffic, seeds.
        duration: of each, in seconds.
    """

    runs: tuple[Run, ...]
    duration: float

    def table(self) -> Table:
        """One row for each policy and traffic: means over the seeds."""
        groups: dict[tuple[str, str], list[Run]] = {}
        for run in self.runs:
            groups.setdefault((run.policy, run.traffic), []).append(run)
        rows = [(*key, *_means([run.scores for run in found])) for key, found in groups.items()]
        seeds = len({run.seed for run in self.runs})
        title = f"{self.duration:g} s, mean of {seeds} seed{'s' * (seeds != 1)}"
        return Table(("policy", "traffic", *FIGURES), rows, title)

    def runs_table(self) -> Table:
        """One row for each run."""
        rows = [(r.policy, r.traffic, r.seed, *_means([r.scores])) for r in self.runs]
        return Table(("policy", "traffic", "seed", *FIGURES), rows, f"{self.duration:g} s")

    def best(self, score: Callable[[Run], float]) -> str:
        """The policy with the smallest mean of a score of your own, for example
        ``lambda run: run.scores.pod_seconds + 100 * run.scores.unmet``."""
        found: dict[str, list[float]] = {}
        for run in self.runs:
            found.setdefault(run.policy, []).append(score(run))
        return min(found, key=lambda name: fmean(found[name]))

    def pareto(self) -> list[str]:
        """The policies that no other one beats: none costs fewer pod seconds *and* leaves fewer
        requests unmet (means over all traffic and seeds), cheapest first."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.policy, []).append(run)
        points = {
            name: (
                fmean(run.scores.pod_seconds for run in runs),
                fmean(run.scores.unmet for run in runs),
            )
            for name, runs in found.items()
        }
        return sorted(
            (name for name, point in points.items() if not _beaten(point, points.values())),
            key=lambda name: points[name],
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _beaten(point: tuple[float, float], others: Iterable[tuple[float, float]]) -> bool:
    """True if another point is nowhere worse, and somewhere better."""
    return any(o != point and o[0] <= point[0] and o[1] <= point[1] for o in others)


def _means(scores: Sequence[Any]) -> tuple[Any, ...]:
    """The columns of a table that are figures."""
    latencies = [score.p95 for score in scores if score.p95 is not None]
    return (
        round(fmean(score.pod_seconds for score in scores) / 3600, 3),
        round(fmean(score.unmet_percent for score in scores), 3),
        round(1000 * fmean(latencies)) if latencies else None,
        round(fmean(score.slow_seconds for score in scores), 1),
        round(fmean(score.scalings for score in scores), 1),
        round(fmean(score.flaps for score in scores), 1),
        max(score.most_pods for score in scores),
    )


def compare(
    policies: ReadOnlyDocument,
    traffic: Mapping[str, Load],
    seeds: Iterable[int] = (0,),
    duration: float = 3600.0,
    *,
    world: World | None = None,
    detail: str = "model",
    executor: Executor | None = None,
) -> Comparison:
    """Run every policy against every traffic with every seed, and score the runs.

    Args:
        policies: by name: a `Contender`, or a policy alone (its class, a function that makes it, or
            an object with recommend(observation)) that works for a default HPA.
        traffic: by name: a traffic model, whose requests then arrive by chance (`Poisson`, with the
            run's seed); or a function of the seed that makes a model, which is taken as it is.
        seeds: every policy meets the same arrivals.
        duration: of each run, in simulated seconds.
        world: what is scaled; see `World`.
        detail: "model": the loop alone, thousands of times faster; "cluster": a whole simulated
            cluster for each run.
        executor: where the runs are computed; None: here, one after the other.

    Raises:
        BadRequest: nothing to compare, or no such detail.
    """
    if detail not in DETAILS:
        raise BadRequest(f"there is no detail {detail!r}", hint=f"say {' or '.join(DETAILS)}")
    drawn = tuple(seeds)
    if not (policies and traffic and drawn and duration > 0):
        raise BadRequest("compare() needs a policy, a traffic, a seed and a duration above 0")
    tasks = [
        _Task(name, _contender(policy), load, model, seed, world or World(), duration, detail)
        for name, policy in policies.items()
        for load, model in traffic.items()
        for seed in drawn
    ]
    if executor is None:
        return Comparison(tuple(_run(task) for task in tasks), duration)
    size = max(1, int(CHUNK_SECONDS // duration)) if detail == "model" else 1
    chunks = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    futures = [executor.submit(_run_all, chunk) for chunk in chunks]
    return Comparison(tuple(run for future in futures for run in future.result()), duration)


def _contender(policy: Any) -> Contender:
    return policy if isinstance(policy, Contender) else Contender(policy=policy)


def _run_all(tasks: Sequence[_Task]) -> list[Run]:
    return [_run(task) for task in tasks]


def _run(task: _Task) -> Run:
    load = task.load
    if callable(getattr(load, "rate", None)):
        model: TrafficModel = Poisson(load, task.seed)
    else:
        model = load(task.seed)
    if task.detail == "cluster":
        run = run_in_cluster(
            task.contender, model, duration=task.duration, world=task.world, seed=task.seed
        )
    else:
        run = simulate(task.contender, model, duration=task.duration, world=task.world)
    return replace(run, policy=task.policy, traffic=task.traffic, seed=task.seed)
