"""What all tests share: how hypothesis draws, and what is slow."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule
from hypothesis import settings

# Files of hundreds of drawn examples, of randomized runs of whole clusters, of contracts over all
# components, and of drawn panels: each takes seconds, so `make quick` leaves them to `make unit`.
SLOW_FILES = {
    "test_apiserver_hostile.py",
    "test_apiserver_properties.py",
    "test_controller_contract.py",
    "test_deployment_faults.py",
    "test_docs_python.py",
    "test_experiment_compare.py",
    "test_fastpath.py",
    "test_hpa_closed_loop.py",
    "test_hpa_properties.py",
    "test_hpa_whatif.py",
    "test_kube_protobuf_table.py",
    "test_lessons_charts.py",
    "test_lessons_cockpit.py",
    "test_lessons_exercises.py",
    "test_lessons_rollout.py",
    "test_lessons_scheduler.py",
    "test_lessons_tuning.py",
    "test_node_chaos.py",
    "test_pod_invariants.py",
    "test_statefulset_faults.py",
    "test_workloads_chaos.py",
}

# `make quick` asks for few examples of each property; every other run draws the usual number.
settings.register_profile("quick", max_examples=15, deadline=None)

# Examples differ from run to run, so that more is found; in CI hypothesis chooses its own profile,
# which draws the same examples each time. No example is judged by how long it took.
if not os.environ.get("CI"):
    settings.register_profile("kubesim", deadline=None)
    settings.load_profile("kubesim")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path,
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for examples only in files that have some: few tests do, and looking takes seconds."""
    collectors = yield
    if file_path.suffix != ".py" or ">>>" in file_path.read_text():
        return collectors
    return [each for each in collectors if not isinstance(each, DoctestModule)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of SLOW_FILES as slow, and see that `make live` finds all live ones."""
    live_files: set[Path] = set()
    for item in items:
        if item.path.name in SLOW_FILES:
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("live") is not None:
            live_files.add(item.path)
    for path in live_files:
        if "mark.live" not in path.read_text():
            raise pytest.UsageError(f"{path}: `make live` looks for the words mark.live")


def pytest_collection_finish() -> None:
    """Keep what was collected, some million objects, out of every later garbage collection."""
    gc.collect()
    gc.freeze()
