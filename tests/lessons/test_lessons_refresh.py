"""What is stored with a notebook: nothing that differs by run or by machine."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from lessons import refresh
from lessons.refresh import IGNORE, executed, store, tidy

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


def lesson(*sources: str) -> nbformat.NotebookNode:
    """An executed notebook: each cell printed a line and returned a picture."""
    cells = []
    for number, source in enumerate(sources, start=1):
        outputs = [
            nbformat.v4.new_output("stream", name="stdout", text="one\ntwo\n"),
            nbformat.v4.new_output(
                "execute_result", {"image/svg+xml": "<svg>\n</svg>"}, execution_count=number
            ),
        ]
        cells.append(
            nbformat.v4.new_code_cell(
                source, id=f"code-{number}", execution_count=number, outputs=outputs
            )
        )
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize("source", ["predict('pods', 1, 2)", "x = 1\npredict(\n'pods', 1, 2)"])
def test_a_lesson_with_a_prediction_holds_no_output_and_comes_back_whole(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored gives nothing away; the executed copy is what was run."""
    monkeypatch.setattr(refresh, "EXPECTED", tmp_path / "expected")
    path, whole = tmp_path / "01.ipynb", lesson(source, "2")
    before = nbformat.writes(whole)
    store(path, whole)
    stored = nbformat.read(path, as_version=4)
    assert [(cell.outputs, cell.execution_count) for cell in stored.cells] == [([], None)] * 2
    assert nbformat.writes(executed(path)) == before
    store(path, executed(path))
    assert nbformat.writes(executed(path)) == before


def test_a_notebook_without_predictions_keeps_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was printed goes (it differs between machines), pictures stay."""
    monkeypatch.setattr(refresh, "EXPECTED", tmp_path)
    path, whole = tmp_path / "00.ipynb", lesson("1", "2")
    before = nbformat.writes(whole)
    store(path, whole)
    stored = nbformat.read(path, as_version=4)
    assert [[o.output_type for o in cell.outputs] for cell in stored.cells] == [
        ["execute_result"]
    ] * 2
    assert nbformat.writes(executed(path)) == before


def test_a_cell_without_expected_outputs_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new cell has to be run before its lesson can be compared or shown."""
    monkeypatch.setattr(refresh, "EXPECTED", tmp_path)
    path = tmp_path / "01.ipynb"
    store(path, lesson("1"))
    nbformat.write(lesson("1", "2"), path)
    with pytest.raises(KeyError, match="code-2"):
        executed(path)
