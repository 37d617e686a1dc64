"""Policies x traffic x seeds -> a scored table, on any executor of concurrent.futures.

Runs are independent, and each is a pure function of its policy, traffic, seed and world. The
order and the process in which they are computed make no difference. A run of the model takes
milliseconds to seconds, and sending a task to another process takes milliseconds; hence runs are
sent in chunks.

    with ProcessPoolExecutor() as pool:
        compare(policies, traffic, seeds=range(100), duration=86_400, executor=pool)

With a process pool, policies and traffic must be picklable: classes and functions of a module, not
lambdas and not classes of a notebook cell. Without an executor they may be anything.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from statistics import fmean

from kubesim import arguments
from kubesim.arguments import Check, check_arguments
from kubesim.errors import BadRequest
from kubesim.experiment.cluster_run import run_in_cluster
from kubesim.experiment.model import simulate
from kubesim.experiment.scores import Run, Scores
from kubesim.experiment.setting import IS_WORLD, Contender, PolicySource, World
from kubesim.table import Table
from kubesim.traffic import Poisson, TrafficModel

CHUNK_SECONDS = 200_000.0  # simulated seconds in one task, about a second of work
CHUNKS_PER_WORKER = 4  # so that a worker that ends early finds more to do
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


def _is_load(value: object) -> str | None:
    """Expect a traffic model, or a function that returns one."""
    return None if callable(getattr(value, "rate", value)) else "a traffic model"


WHOLE_NUMBERS = arguments.list_of(arguments.whole_number(), "whole numbers")
OPTIONS: Mapping[str, Check] = {
    "policies": arguments.mapping_of(lambda policy: None, "policies"),
    "traffic": arguments.mapping_of(_is_load, "traffic models"),
    "seeds": arguments.instance_of(Iterable, "a list of whole numbers"),
    "duration": arguments.finite_number,
    "world": IS_WORLD,
    "executor": arguments.optional(arguments.having("submit", "an executor")),
}

Load = TrafficModel | Callable[[int], TrafficModel]
"""A traffic model, whose requests arrive at random; or a function from a seed to a model."""


@dataclass(frozen=True)
class _Task:
    """One run to be computed."""

    policy: str
    contender: Contender
    traffic: str
    load: Load
    seed: int
    world: World
    duration: float
    detail: str


@dataclass(frozen=True)
class Comparison:
    """The result of an experiment.

    Attributes:
        runs: in the order of policies, traffic, seeds.
        duration: of each run, in simulated seconds.
    """

    runs: tuple[Run, ...]
    duration: float

    def table(self) -> Table:
        """Return a table with one row for each policy and traffic: means over the seeds."""
        groups: dict[tuple[str, str], list[Run]] = {}
        for run in self.runs:
            groups.setdefault((run.policy, run.traffic), []).append(run)
        rows = [(*key, *_means([run.scores for run in runs])) for key, runs in groups.items()]
        seeds = len({run.seed for run in self.runs})
        title = f"{self.duration:g} s, mean of {seeds} seed{'s' * (seeds != 1)}"
        return Table(("policy", "traffic", *FIGURES), rows, title)

    def runs_table(self) -> Table:
        """Return a table with one row for each run."""
        rows = [(r.policy, r.traffic, r.seed, *_means([r.scores])) for r in self.runs]
        return Table(("policy", "traffic", "seed", *FIGURES), rows, f"{self.duration:g} s")

    def best(self, score: Callable[[Run], float]) -> str:
        """Return the policy with the smallest mean score.

        Args:
            score: for example ``lambda run: run.scores.pod_seconds + 100 * run.scores.unmet``.
        """
        scores: dict[str, list[float]] = {}
        for run in self.runs:
            scores.setdefault(run.policy, []).append(score(run))
        return min(scores, key=lambda name: fmean(scores[name]))

    def pareto(self) -> list[str]:
        """Return the Pareto-optimal policies, cheapest first.

        No other policy costs fewer pod seconds *and* leaves fewer requests unmet than one of them
        (means over all traffic and seeds).
        """
        by_policy: dict[str, list[Run]] = {}
        for run in self.runs:
            by_policy.setdefault(run.policy, []).append(run)
        points = {
            name: (
                fmean(run.scores.pod_seconds for run in runs),
                fmean(run.scores.unmet for run in runs),
            )
            for name, runs in by_policy.items()
        }
        return sorted(
            (name for name, point in points.items() if not _is_dominated(point, points.values())),
            key=lambda name: points[name],
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _is_dominated(point: tuple[float, float], others: Iterable[tuple[float, float]]) -> bool:
    """Whether another point is better in one coordinate and not worse in the other."""
    return any(o != point and o[0] <= point[0] and o[1] <= point[1] for o in others)


def _means(scores: Sequence[Scores]) -> tuple[object, ...]:
    """Return the means for the columns of a table."""
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
    policies: Mapping[str, Contender | PolicySource],
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
        policies: by name: a `Contender`, or a policy for a default HPA (its class, a function that
            returns one, or an object with recommend(observation)).
        traffic: by name: a traffic model, whose requests arrive at random (`Poisson`, with the
            run's seed); or a function from the seed to a model, which is used as it is.
        seeds: all policies get the same arrivals of a seed.
        duration: of each run, in simulated seconds.
        world: what is scaled; see `World`.
        detail: "model": the autoscaling loop alone, a thousand times faster; "cluster": a simulated
            cluster for each run.
        executor: computes the runs; None: they are computed one after the other.

    Returns:
        The runs and their tables.

    Raises:
        BadRequest: no policy, traffic or seed, no duration above 0, an unknown detail, or an
            argument of another type.
    """
    if detail not in DETAILS:
        raise BadRequest(f"there is no detail {detail!r}", hint=f"write {' or '.join(DETAILS)}")
    given = {"policies": policies, "traffic": traffic, "seeds": seeds, "duration": duration}
    check_arguments(OPTIONS, {**given, "world": world, "executor": executor})
    numbers = tuple(seeds)
    check_arguments({"seeds": WHOLE_NUMBERS}, {"seeds": numbers})
    if not (policies and traffic and numbers and duration > 0):
        raise BadRequest("compare() needs a policy, a traffic, a seed and a duration above 0")
    tasks = [
        _Task(name, _contender(policy), load, model, seed, world or World(), duration, detail)
        for name, policy in policies.items()
        for load, model in traffic.items()
        for seed in numbers
    ]
    if executor is None:
        return Comparison(tuple(_run(task) for task in tasks), duration)
    size = _chunk_size(len(tasks), duration, executor) if detail == "model" else 1
    chunks = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    futures = [executor.submit(_run_all, chunk) for chunk in chunks]
    return Comparison(tuple(run for future in futures for run in future.result()), duration)


def _chunk_size(tasks: int, duration: float, executor: Executor) -> int:
    """Return the number of runs in a chunk: about a second of work, and some for each worker.

    Args:
        tasks: number of runs.
        duration: of each run, in simulated seconds.
        executor: the standard library's pools say how many workers they have; others are taken
            to have one for each processor.
    """
    workers = getattr(executor, "_max_workers", None)
    shares = CHUNKS_PER_WORKER * (workers if isinstance(workers, int) else os.cpu_count() or 1)
    return max(1, min(int(CHUNK_SECONDS // duration), tasks // max(1, shares)))


def _contender(policy: Contender | PolicySource) -> Contender:
    return policy if isinstance(policy, Contender) else Contender(policy=policy)


def _run_all(tasks: Sequence[_Task]) -> list[Run]:
    return [_run(task) for task in tasks]


def _run(task: _Task) -> Run:
    load = task.load
    model: TrafficModel = load(task.seed) if not hasattr(load, "rate") else Poisson(load, task.seed)
    if task.detail == "cluster":
        run = run_in_cluster(
            task.contender, model, duration=task.duration, world=task.world, seed=task.seed
        )
    else:
        run = simulate(task.contender, model, duration=task.duration, world=task.world)
    return replace(run, policy=task.policy, traffic=task.traffic, seed=task.seed)
