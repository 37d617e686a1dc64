"""Run the lesson notebooks and store their outputs: ``python -m lessons.refresh [NOTEBOOK ...]``.

A lesson asks for predictions, so its notebook is stored without outputs: they would give the
answers away. The outputs of a run are kept in ``tests/notebooks/expected/NAME.json``, one entry for
each code cell. ``python -m lessons.refresh --executed DIR`` joins both into executed copies, which
`make notebooks` replays and compares; the documentation site shows the same copies. Only a notebook
without predictions (lesson 0) keeps its pictures and tables.

Widgets are not stored: their state is large and differs each time, and without it a page that
cannot run widgets shows the still picture. Kubernetes has no counterpart.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4.rwbase import rejoin_lines, split_lines

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
EXPECTED = ROOT / "tests" / "notebooks" / "expected"
TIMEOUT_SECONDS = 120
SKIP = "nbval-skip"
IGNORE = "nbval-ignore-output"
PREDICTION = re.compile(r"^\s*predict\(", re.MULTILINE)
PORT = re.compile(r"(127\.0\.0\.1|localhost):\d+")
DIFFED = re.compile(r"\S*/(LIVE|MERGED)-\d+/")  # the folders of kubectl diff
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Remove what differs between runs or machines."""
    notebook.metadata = {
        "kernelspec": notebook.metadata["kernelspec"],
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        cell.outputs = _joined(cell.outputs)
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET_VIEW, None)
        if IGNORE in cell.metadata.get("tags", ()):
            cell.outputs = [o for o in cell.outputs if o.output_type == "stream"]
            for output in cell.outputs:
                output.text = DIFFED.sub(r"\1/", PORT.sub(r"\1:PORT", output.text))


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join the pieces of each stream, since a shell's output is cut at random."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if output.output_type == "stream" and last is not None and last.get("name") == output.name:
            last["text"] += output.text
        else:
            joined.append(output)
    return joined


def _code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def expected_file(path: Path) -> Path:
    """Return the file that holds the outputs of a notebook."""
    return EXPECTED / f"{path.stem}.json"


def separate(notebook: nbformat.NotebookNode) -> dict[str, list[nbformat.NotebookNode]]:
    """Take the outputs out of an executed notebook.

    Returns:
        the outputs of each code cell, by the cell's id. A notebook without predictions keeps its
        pictures and tables, too.
    """
    cells = _code_cells(notebook)
    predicts = any(PREDICTION.search(cell.source) for cell in cells)
    outputs = {}
    for cell in cells:
        outputs[cell.id] = cell.outputs
        cell.execution_count = None
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = None
        cell.outputs = [] if predicts else [o for o in cell.outputs if "data" in o]
    return outputs


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a lesson as it looks after a run: the notebook with its stored outputs.

    Args:
        path: the notebook without outputs.

    Raises:
        KeyError: a code cell has no stored outputs; refresh the notebook.
    """
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    outputs = json.loads(expected_file(path).read_text())
    for number, cell in enumerate(_code_cells(notebook), start=1):
        cell.execution_count = number
        cell.outputs = [nbformat.from_dict(output) for output in outputs[cell.id]]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
    rejoin_lines(notebook)
    return notebook


def store(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Write an executed notebook: its cells to `path`, its outputs to the expected ones."""
    outputs = separate(notebook)
    nbformat.write(notebook, path)
    stripped = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(id=name, outputs=each) for name, each in outputs.items()]
    )
    by_id = {cell.id: cell.outputs for cell in split_lines(stripped).cells}
    for output in (output for cell_outputs in by_id.values() for output in cell_outputs):
        output.pop("execution_count", None)
    EXPECTED.mkdir(parents=True, exist_ok=True)
    expected_file(path).write_text(json.dumps(by_id, indent=1, ensure_ascii=False) + "\n")


def refresh(path: Path) -> None:
    """Run one notebook from top to bottom, and store it and its outputs."""
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_SECONDS,
        kernel_name="python3",
        store_widget_state=False,
        skip_cells_with_tag=SKIP,
        resources={"metadata": {"path": str(path.parent)}},
    )
    nothing_done = str(EXPECTED / "no-progress.json")
    client.execute(env={**os.environ, "KUBESIM_PROGRESS": nothing_done})
    tidy(notebook)
    store(path, notebook)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Args:
        arguments: the arguments without the program's name; None: those of this process.
    """
    parser = argparse.ArgumentParser(prog="lessons.refresh", description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="notebooks (default: all)")
    parser.add_argument("--executed", type=Path, metavar="DIR", help="write executed copies to DIR")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
    for path in paths:
        if options.executed:
            options.executed.mkdir(parents=True, exist_ok=True)
            nbformat.write(executed(path), options.executed / path.name)
        else:
            print(f"running {path.name} ...", flush=True)
            refresh(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
