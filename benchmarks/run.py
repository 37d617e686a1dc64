"""All benchmarks with one command: ``python benchmarks/run.py [--quick] [--only NAME]``.

Each benchmark module has `run(quick) -> rows`; kubesim and its named peer take turns in the same
run, a row is the median of several rounds, and what counts is the ratio: absolute figures belong to
the machine. A mark is the least ratio that we hold ourselves to.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import BenchmarkRow
from kubesim.table import Table

MODULES = (
    "virtual_ticks",
    "live_pods",
    "resting_panels",
    "store_ops",
    "watch_fanout",
    "rest_load",
    "kube_api",
    "request_path",
    "scheduling",
    "control_plane",
    "whole_cluster",
    "growth",
    "experiments",
)


def main() -> int:
    """Run the benchmarks and print one table; returns 1 if a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sizes")
    parser.add_argument("--only", choices=MODULES, action="append", help="only this one")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    rows: list[BenchmarkRow] = []
    for name in options.only or MODULES:
        print(f"== {name} ...", file=sys.stderr, flush=True)
        module = importlib.import_module(f"benchmarks.{name}")
        measured: list[BenchmarkRow] = module.run(options.quick)
        for row in measured:
            row["benchmark"] = name
        rows += measured
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}")
    print(
        Table(
            ("what", "unit", "kubesim", "peer", "peer's", "ratio", "mark"),
            [
                (
                    row["name"],
                    row["unit"],
                    f"{row['kubesim']:,.4g}",
                    row.get("peer_name", ""),
                    f"{row['peer']:,.4g}" if row.get("peer") is not None else "",
                    f"{row['ratio']:.2f} x" if row.get("ratio") is not None else "",
                    _mark(row),
                )
                for row in rows
            ],
        )
    )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    missed = [row["name"] for row in rows if _mark(row).startswith("MISSED")]
    return 1 if missed else 0


def _mark(row: BenchmarkRow) -> str:
    """Return whether a row reaches its `mark` (least ratio) or keeps its `limit`."""
    mark, limit, ratio = row.get("mark"), row.get("limit"), row.get("ratio")
    if mark is not None and ratio is not None:
        return f"{'ok' if ratio >= mark else 'MISSED'} >= {mark:g} x"
    if limit is not None:
        return f"{'ok' if row['kubesim'] <= limit else 'MISSED'} <= {limit:g}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
