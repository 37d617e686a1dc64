"""What is stored with a notebook: nothing that differs by run or by machine."""

from __future__ import annotations

import nbformat

from lessons.refresh import IGNORE, tidy

PRINTED = (
    "GET http://127.0.0.1:40123/api\n--- {}/LIVE-{}/apps.v1.shop\n+++ {}/MERGED-{}/apps.v1.shop\n"
)


def notebook(tags: list[str]) -> nbformat.NotebookNode:
    """A notebook with one cell that has an output."""
    text = PRINTED.format("/tmp", 17, "/tmp", 42)
    output = nbformat.v4.new_output("stream", name="stdout", text=text)
    cell = nbformat.v4.new_code_cell("%%kubectl\ndiff -f -", outputs=[output])
    cell.metadata["tags"] = tags
    made = nbformat.v4.new_notebook(cells=[cell])
    made.metadata["kernelspec"] = {"name": "python3"}
    return made


def test_ports_and_folders_of_a_diff_are_not_stored_where_nothing_is_compared() -> None:
    """What kubectl says names a port and two folders; a reader needs neither."""
    document = notebook([IGNORE])
    tidy(document)
    (output,) = document.cells[0].outputs
    assert output.text == (
        "GET http://127.0.0.1:PORT/api\n--- LIVE/apps.v1.shop\n+++ MERGED/apps.v1.shop\n"
    )


def test_compared_outputs_are_stored_unchanged() -> None:
    """Otherwise the comparison could never hold."""
    document = notebook([])
    tidy(document)
    assert document.cells[0].outputs[0].text == PRINTED.format("/tmp", 17, "/tmp", 42)
