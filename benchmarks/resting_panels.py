"""A class of learners who have left their pages open: kernels with a resting cockpit each.

Each kernel is a real ipykernel process that runs lesson 4's cockpit on the live clock until nobody
has looked for a while. The peer is the same number of kernels that have imported the same packages
and do nothing. CPU and memory are read from Linux' /proc; the memory is the proportional set size,
which counts a page that several processes share once.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import BenchmarkRow, row

ROOT = Path(__file__).resolve().parent.parent
WINDOW_SECONDS = 20.0
SETTLE_SECONDS = 5.0
START = """
import os, time
from lessons import setup
from lessons.cockpit.panel import Cockpit
from lessons.ui import rest
rest.REST_SECONDS = 3.0
"""
PANEL = """
cockpit = Cockpit(speed=20)
for _ in range(300):
    if "resting" in cockpit.transport.status.value:
        break
    time.sleep(0.1)
print(f"{cockpit.transport.status.value} {cockpit.cluster.clock.now():.0f}")
"""


class Kernels:
    """A number of kernels; use as a context manager.

    Args:
        count: how many.
        code: what each of them runs first.
        wanted: what each of them has to print.
    """

    def __init__(self, count: int, code: str, pattern: str = "") -> None:
        self._count, self._code, self._wanted = count, code, pattern
        self._managers: list[Any] = []
        self._clients: list[Any] = []

    def __enter__(self) -> Kernels:
        from jupyter_client.manager import start_new_kernel

        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        for _ in range(self._count):
            manager, client = start_new_kernel(
                startup_timeout=120, kernel_name="python3", env={**os.environ, "PYTHONPATH": path}
            )
            self._managers.append(manager)
            self._clients.append(client)
            printed: list[str] = []
            reply = client.execute_interactive(
                self._code, timeout=120, output_hook=lambda m, to=printed: to.append(_text(m))
            )
            assert reply["content"]["status"] == "ok", reply["content"]
            assert self._wanted in "".join(printed), printed
        return self

    def __exit__(self, *_error: object) -> None:
        for client, manager in zip(self._clients, self._managers, strict=True):
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    def measure(self) -> tuple[list[float], list[float]]:
        """Return for each kernel: percent of a core, and megabytes."""
        time.sleep(SETTLE_SECONDS)
        pids = [manager.provisioner.pid for manager in self._managers]
        before = [_cpu_seconds(pid) for pid in pids]
        time.sleep(WINDOW_SECONDS)
        used = [_cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]
        return [100 * each / WINDOW_SECONDS for each in used], [_megabytes(pid) for pid in pids]


def _text(message: dict[str, Any]) -> str:
    return str(message["content"].get("text", ""))


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, with a resolution of nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def run(quick: bool) -> list[BenchmarkRow]:
    """Return the rows; none where there is no /proc, and none in a quick run: it takes minutes."""
    if quick or not sys.platform.startswith("linux"):
        return []
    count = 30
    with Kernels(count, START) as idle:
        idle_cpu, idle_memory = idle.measure()
    with Kernels(count, START + PANEL, "resting") as resting:
        cpu, memory = resting.measure()
    peer = "kernels that do nothing"
    rows = [
        row(f"{count} resting cockpits, CPU of each", "% of a core", cpu, idle_cpu, peer),
        row(f"{count} resting cockpits, memory of each", "MB", memory, idle_memory, peer),
        row(
            f"{count} resting cockpits, CPU of all",
            "% of a core",
            [sum(cpu)],
            [sum(idle_cpu)],
            peer,
        ),
    ]
    for each in rows:
        each["ratio"] = None  # less is better, and next to nothing has no ratio
    rows[0]["limit"] = 1.0
    return rows
