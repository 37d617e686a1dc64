"""Run the lesson notebooks and store their outputs: ``python -m lessons.refresh [NOTEBOOK ...]``.

`make notebooks` compares the stored outputs with new ones. Widgets are not stored: their state is
large and differs each time, and without it a page that cannot run widgets shows the still picture.
Kubernetes has no counterpart.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
TIMEOUT_SECONDS = 120
SKIP = "nbval-skip"
IGNORE = "nbval-ignore-output"
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
        if cell.execution_count is None:
            cell.execution_count = 0  # a skipped cell
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


def refresh(path: Path) -> None:
    """Run one notebook from top to bottom, and save it."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_SECONDS,
        kernel_name="python3",
        store_widget_state=False,
        skip_cells_with_tag=SKIP,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    tidy(notebook)
    nbformat.write(notebook, path)


def main() -> int:
    """Refresh the notebooks named on the command line, or all of them."""
    paths = [Path(name) for name in sys.argv[1:]] or sorted(NOTEBOOKS.glob("*.ipynb"))
    for path in paths:
        print(f"running {path.name} ...", flush=True)
        refresh(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
