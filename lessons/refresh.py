"""Run the lesson notebooks and store their outputs: ``python -m lessons.refresh [NOTEBOOK ...]``.

What is stored is what `make notebooks` compares. Widget state is not kept: it is large, it differs
each time, and without it a static page shows the still pictures instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
TIMEOUT_SECONDS = 120
SKIP = "nbval-skip"


def refresh(path: Path) -> None:
    """Execute one notebook from top to bottom and write it back."""
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
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code" and cell.execution_count is None:
            cell.execution_count = 0  # a skipped cell
        if "nbval-ignore-output" in cell.metadata.get("tags", ()):
            cell.outputs = [o for o in cell.get("outputs", ()) if o.output_type == "stream"]
    nbformat.write(notebook, path)


def main() -> int:
    """Refresh the notebooks named on the command line, or all."""
    paths = [Path(name) for name in sys.argv[1:]] or sorted(NOTEBOOKS.glob("*.ipynb"))
    for path in paths:
        print(f"running {path.name} ...", flush=True)
        refresh(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
