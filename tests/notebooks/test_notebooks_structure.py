"""The notebooks themselves: no answer given away, short code, one shape, no traces of a machine.

The outputs of a run are kept in `tests/notebooks/expected/`; they are complete.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from lessons.feedback.course import LESSONS as COURSE
from lessons.refresh import PREDICTION, executed, expected_file
from lessons.start import course_files

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSONS = NOTEBOOKS[1:]
MAX_LINES = 16
MAX_CLASS = 15
MAX_BYTES = 60_000
MAX_BYTES_EXECUTED = 200_000
KNOWN_TAGS = {"nbval-ignore-output", "nbval-skip", "raises-exception"}
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
TRACES = re.compile(r"/(home|root|work|Users|tmp)/|[A-Z]:\\\\|127\.0\.0\.1:\d|localhost:\d")


def cells_of(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    """The cells of one type."""
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def executed_cells(path: Path) -> list[dict[str, Any]]:
    """The code cells with the outputs of a run."""
    cells = json.loads(nbformat.writes(executed(path)))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    """A cell's text."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def is_python(cell: dict[str, Any]) -> bool:
    """A cell of Python, not of a shell."""
    return not source(cell).startswith("%%")


def compared(cell: dict[str, Any]) -> str:
    """What nbval compares of a cell's outputs, as one text; ids of widgets it skips."""
    if "nbval-ignore-output" in cell["metadata"].get("tags", []):
        return ""
    kept = [
        {key: value for key, value in output.get("data", {}).items() if "widget-view" not in key}
        or output.get("text", "")
        for output in cell["outputs"]
    ]
    return json.dumps(kept)


def test_there_are_lessons() -> None:
    """A glob that finds nothing would make every other test pass."""
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert {"00", "01", "02", "03", "04", "05", "06", "07"} <= set(numbers)
    assert numbers == sorted(set(numbers)), "two notebooks have one number"


def test_the_map_names_every_lesson_and_its_minutes() -> None:
    """00_start_here links all the others, and says as many minutes as they do."""
    text = "\n".join(source(cell) for cell in cells_of(NOTEBOOKS[0], "markdown"))
    rows = re.findall(r"\((\d\d_\w+\.ipynb)\) \| (\d+) \|", text)
    assert [name for name, _ in rows] == [path.name for path in LESSONS]
    assert [lesson.file for lesson in COURSE] == [path.name for path in LESSONS]
    for (_name, minutes), path in zip(rows, LESSONS, strict=True):
        assert f"*{minutes} minutes. Needs:" in source(cells_of(path, "markdown")[0]), path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    """Each relative link names a file that exists here and in a learner's copy."""
    copied = set(course_files(ROOT))
    prose = "\n".join(source(cell) for cell in cells_of(path, "markdown"))
    links = [link for link in LINK.findall(prose) if "://" not in link]
    assert links
    for link in links:
        target = (path.parent / link).resolve()
        assert target.is_file(), link
        assert target.relative_to(ROOT).as_posix() in copied, link


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pages_are_named_by_links(path: Path) -> None:
    """A page that is only named cannot be opened; the cheat sheet and the glossary are linked."""
    prose = "\n".join(source(cell) for cell in cells_of(path, "markdown"))
    assert not re.findall(r"`[\w/]+\.md`", prose)
    assert "(../docs/glossary.md)" in prose
    assert "(../docs/cheatsheet.md)" in prose


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_code_cell_has_expected_outputs(path: Path) -> None:
    """A cell without them would pass every comparison; outputs of no cell are left over."""
    ids = [cell["id"] for cell in cells_of(path)]
    assert list(json.loads(expected_file(path).read_text())) == ids
    counts = [cell["execution_count"] for cell in executed_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_stored_output_answers_a_prediction(path: Path) -> None:
    """A lesson that was not run shows no output at all; a run of it does answer."""
    assert any(PREDICTION.search(source(cell)) for cell in cells_of(path))
    for cell in cells_of(path):
        assert cell["outputs"] == [], source(cell)
        assert cell["execution_count"] is None
    for cell in executed_cells(path):
        if PREDICTION.search(source(cell)):
            assert "the answer is" in json.dumps(cell["outputs"]), source(cell)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_source_answers_a_prediction(path: Path) -> None:
    """What is compared with a prediction is measured; it does not stand in the cell."""
    for cell in filter(is_python, cells_of(path)):
        for node in ast.walk(ast.parse(source(cell))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "predict":
                names = [each for each in ast.walk(node.args[2]) if isinstance(each, ast.Name)]
                assert names, source(cell)


def test_a_random_count_may_be_close() -> None:
    """Whoever expects four of twelve pods on each of three nodes has understood it."""
    code = "".join(source(cell) for cell in cells_of(NOTEBOOKS[5]))
    assert 'predict("pods on node-1", my_guess, winners["node-1"], within=2)' in code


def test_lesson_0_invites_with_its_pictures() -> None:
    """It asks for no prediction, so its pictures and tables show what there is to come."""
    cells = cells_of(NOTEBOOKS[0])
    assert not any(PREDICTION.search(source(cell)) for cell in cells)
    stored = [output for cell in cells for output in cell["outputs"]]
    assert sum("image/svg+xml" in output["data"] for output in stored) >= 2
    assert all(cell["execution_count"] is None for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_define_no_long_class(path: Path) -> None:
    """Prose and short calls; whatever is longer belongs into lessons/."""
    for cell in cells_of(path):
        lines = source(cell).splitlines()
        assert len(lines) <= MAX_LINES, source(cell)
        if is_python(cell):
            for node in ast.walk(ast.parse(source(cell))):
                if isinstance(node, ast.ClassDef):
                    assert (node.end_lineno or 0) - node.lineno < MAX_CLASS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_a_machine_or_a_page_is_stored(path: Path) -> None:
    """No path, no port, no widget state, no script of a megabyte; no uuid that is compared."""
    text = path.read_text()
    found = TRACES.search(text + expected_file(path).read_text())
    assert found is None, found and found.string[found.start() - 60 : found.end() + 60]
    document = json.loads(text)
    assert set(document["metadata"]) == {"kernelspec", "language_info"}
    assert set(document["metadata"]["language_info"]) == {"name", "pygments_lexer"}
    assert len(text) < MAX_BYTES
    assert len(nbformat.writes(executed(path))) < MAX_BYTES_EXECUTED
    for cell in executed_cells(path):
        assert set(cell["metadata"]) <= {"tags"}
        assert set(cell["metadata"].get("tags", [])) <= KNOWN_TAGS
        assert not UUID.search(compared(cell)), source(cell)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_few_outputs_are_left_uncompared(path: Path) -> None:
    """Set-up, the doctor, progress, and what has an id in it; nothing else hides behind a tag.

    What kubectl says is its own matter: it differs from version to version, and there may be none.
    """
    ignored = [
        cell
        for cell in executed_cells(path)
        if not compared(cell) and cell["metadata"] and not source(cell).startswith("%%kubectl")
    ]
    assert len(ignored) <= 3, [source(cell) for cell in ignored]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_open_exercises_show_their_buttons_in_an_executed_copy(path: Path) -> None:
    """Hints and the solution are HTML that needs no kernel; a page without HTML names the calls."""
    shown = [
        output["data"]
        for cell in executed_cells(path)
        if re.search(r"^(q\d|bonus)\.check\(", source(cell), re.MULTILINE)
        for output in cell["outputs"]
        if "data" in output
    ]
    assert len(shown) == len(COURSE[int(path.name[:2]) - 1].exercises)
    for data in shown:
        page = "".join(data["text/html"])
        assert page.count("<details") >= 2
        assert ">Solution</summary>" in page
        assert ".hint()" in "".join(data["text/plain"])


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_course_lists_the_predictions(path: Path) -> None:
    """`progress()` counts them without opening a notebook; a name stands for one prediction."""
    code = [ast.parse(source(cell)) for cell in cells_of(path) if is_python(cell)]
    names = [
        ast.literal_eval(node.args[0])
        for tree in code
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "predict"
    ]
    lesson = COURSE[int(path.name[:2]) - 1]
    assert names == list(lesson.predictions), "bring lessons/feedback/course.py up to date"
    title = source(cells_of(path, "markdown")[0]).splitlines()[0]
    assert title.casefold() == f"# lesson {lesson.number}: {lesson.title}".casefold()
    every = [name for each in COURSE for name in each.predictions]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lessons_follow_the_rhythm(path: Path) -> None:
    """Goal, predict, explain, break it, in real Kubernetes, exercises, questions, an end."""
    prose = [source(cell) for cell in cells_of(path, "markdown")]
    head, text = prose[0], "\n".join(prose)
    assert re.match(r"# Lesson \d: .+\n\n\*\d+ minutes\. Needs: .+\. Mirrors Kubernetes", head)
    assert "**After this you can**" in head
    assert text.count("**Predict:**") >= 3
    assert text.count("**Explain") >= 3
    for part in ("## The goal", "## Break it", "> **In real Kubernetes.**", "kubectl"):
        assert part in text, part
    code = "\n".join(source(cell) for cell in cells_of(path))
    for call in ("q1.check(", "q2.check(", "bonus.check("):
        assert call in code, call
    assert 'quiz(questions, answers="")' in code


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_cell_sets_up_and_the_last_one_closes(path: Path) -> None:
    """Whoever runs all cells leaves no cluster and no server behind."""
    cells = cells_of(path)
    assert "setup()" in source(cells[0])
    assert cells[0]["metadata"]["tags"] == ["nbval-ignore-output"]
    assert "finish()" in source(cells[-1])


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_exercises_can_be_begun_after_a_restart(path: Path) -> None:
    """The cell that imports the exercises needs no other one: work goes on the next day."""
    (first,) = [source(cell) for cell in cells_of(path) if "import bonus" in source(cell)]
    names: dict[str, Any] = {}
    exec(first, names)
    assert {"bonus", "q1", "todo"} <= set(names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_stand_where_widgets_cannot_live(path: Path) -> None:
    """No widget is stored, but a picture with a title and a text in its place."""
    for cell in executed_cells(path):
        for output in cell["outputs"]:
            data = output.get("data", {})
            assert not [key for key in data if "widget" in key], source(cell)
            assert "object at 0x" not in "".join(data.get("text/plain", ""))
            if "image/svg+xml" in data:
                assert "<title>" in "".join(data["image/svg+xml"])
        if re.search(r"\b(Cockpit|RolloutPanel|TuningPanel)\(", source(cell)):
            assert any("image/svg+xml" in output["data"] for output in cell["outputs"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_cell_shows_a_traceback(path: Path) -> None:
    """Refusals are teaching material, and are shown as answers."""
    for cell in executed_cells(path):
        assert not [output for output in cell["outputs"] if output["output_type"] == "error"]
