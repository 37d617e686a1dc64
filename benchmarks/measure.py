"""What every benchmark needs: CPU seconds, rounds in which all variants take turns, medians."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import NotRequired, TypedDict


class BenchmarkRow(TypedDict):
    """One row of the table.

    Attributes:
        benchmark: name of the module.
        name, unit: what was measured.
        kubesim, peer: medians.
        peer_name: what kubesim is compared with.
        ratio: how many times better kubesim is.
        mark: the least ratio that passes.
        limit: the most that kubesim may use.
    """

    benchmark: NotRequired[str]
    name: str
    unit: str
    kubesim: float
    peer: NotRequired[float | None]
    peer_name: NotRequired[str]
    ratio: NotRequired[float | None]
    mark: NotRequired[float | None]
    limit: NotRequired[float | None]


def cpu_seconds(work: Callable[[], object]) -> float:
    """Process CPU seconds that the work took."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def take_turns(rounds: int, **variants: Callable[[], float]) -> dict[str, list[float]]:
    """Call each variant once a round, `rounds` times; what each returned, by name."""
    results: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            results[name].append(variant())
    return results


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """Median of the rounds' ratios: a busy neighbour slows both sides of a round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def row(
    name: str,
    unit: str,
    ours: list[float],
    theirs: list[float],
    peer: str,
    *,
    mark: float | None = None,
    less_is_better: bool = False,
) -> BenchmarkRow:
    """Return one row of the table; the ratio is how many times better kubesim is."""
    ratio = median_ratio(theirs, ours) if less_is_better else median_ratio(ours, theirs)
    return {
        "name": name,
        "unit": unit,
        "kubesim": statistics.median(ours),
        "peer": statistics.median(theirs),
        "peer_name": peer,
        "ratio": ratio,
        "mark": mark,
    }
