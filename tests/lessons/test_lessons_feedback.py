"""What a learner gets back: errors with their line, compared predictions, progress, buttons."""

from __future__ import annotations

import importlib
import linecache
import re
from collections.abc import Iterator
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lessons import exercises, predict, progress, todo
from lessons.check import Task
from lessons.feedback.answers import a_class, a_function, a_list_of, a_score
from lessons.feedback.course import LESSONS
from lessons.feedback.faults import short
from lessons.feedback.hints import help_html
from lessons.feedback.predictions import judge
from lessons.feedback.progress_file import read_progress, remember_solved
from lessons.feedback.progress_map import bar

TASKS = [
    task
    for path in sorted(Path(exercises.__file__).parent.glob("l*.py"))
    for task in vars(importlib.import_module(f"lessons.exercises.{path.stem}")).values()
    if isinstance(task, Task)
]
# A cell of a notebook: functions and methods that fail in line 2 of themselves.
CELL = """
class Mine:
    name = "Mine"

    def METHOD(self, *arguments):
        BODY

def mine(*arguments):
    BODY
"""
BODIES = {
    "a mistake": ("return {'a': arguments[0]}['b']", "KeyError: 'b'"),
    "exit": ("raise SystemExit", "exit()"),
    "endless": ("return mine(*arguments)", "never ends"),
    "interrupted": ("raise KeyboardInterrupt", "does your answer ever end?"),
}


@pytest.fixture
def cell() -> Iterator[Any]:
    """Run a cell as a notebook's kernel does, with its text in `linecache`."""
    name = "/tmp/ipykernel_1/2.py"

    def run(text: str) -> dict[str, Any]:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        scope: dict[str, Any] = {}
        exec(compile(text, name, "exec"), scope)
        return scope

    yield run
    linecache.cache.pop(name, None)


def method_of(task: Task) -> str:
    """The method that a task's class needs; "" if the task needs a function."""
    for method in ("recommend", "choose", "usage"):
        if hasattr(task.correct, method):
            return method
    return ""


CALLED = [task for task in TASKS if callable(task.correct)]


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("task", CALLED, ids=lambda task: task.id)
def test_an_error_is_told_with_its_line_and_values(
    task: Task, case: str, cell: Any, capsys: Any
) -> None:
    """Also if the simulation calls the code; nothing escapes check()."""
    body, told = BODIES[case]
    method = method_of(task)
    scope = cell(CELL.replace("METHOD", method or "unused").replace("BODY", body))
    assert task.check(scope["Mine"] if method else scope["mine"]) is False
    printed = capsys.readouterr().out
    where = f"`Mine.{method}`" if method and case != "endless" else "`mine`"
    assert printed.startswith(f"[MISS] {task.id} ")
    assert told in printed
    assert f"in line 2 of {where}: {body}" in printed
    assert "with arguments = " in printed or body.startswith("raise")
    assert " at 0x" not in printed


def test_an_answer_without_code_raised_nothing_itself(capsys: Any) -> None:
    """A dict of another shape than the exercise expects does not raise; using it does."""
    task = next(task for task in TASKS if task.id == "2.3")
    assert task.check({"metadata": 5}) is False
    assert "using your answer raised AttributeError" in capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_a_word_in_place_of_an_answer_says_what_to_write(task: Task, capsys: Any) -> None:
    """Each exercise says which form it needs; where a string is right, why this one is not."""
    assert task.check("banana") is False
    printed = capsys.readouterr().out
    if isinstance(task.correct, str):
        assert "it selects [] instead of" in printed
        assert task.check(7) is False
        printed = capsys.readouterr().out
    noun = "class" if method_of(task) else "function" if callable(task.correct) else ""
    kinds = {dict: "dict", list: "list", tuple: "list", int: "number", str: "string"}
    assert f"write a {noun or kinds[type(task.correct)]}" in printed
    assert "Error" not in printed


@pytest.mark.parametrize("task", CALLED, ids=lambda task: task.id)
def test_a_function_with_other_parameters_is_told_which_it_needs(task: Task, capsys: Any) -> None:
    """Before it is called: the message of the call itself would name no parameter."""

    class Other:
        def recommend(self) -> int:
            return 1

        choose = usage = recommend

    assert task.check(Other if method_of(task) else lambda: 1) is False
    printed = capsys.readouterr().out
    assert "does not take (" in printed
    assert "; write a " in printed


@pytest.mark.parametrize(
    ("form", "answer", "told"),
    [
        (a_function("f", "x"), int, "int is a class; write a function: def f(x)"),
        (a_function("f", "x"), lambda x: x, None),
        (a_function("f", "x"), lambda *_all: 1, None),
        (a_class("P", "go"), type("P", (), {"go": lambda self: 1}), None),
        (a_class("P", "go"), type("P", (), {"go": lambda self: 1})(), "give the class P itself"),
        (a_class("P", "go"), type("Q", (), {}), "the class Q has no method go"),
        (a_score("pod"), type("P", (), {"score": lambda self, pod: 1}), None),
        (a_score("pod"), type("P", (), {"score": lambda self, pod: 1})(), None),
        (a_score("pod"), 3, "3 is a number; write a function: def score(pod)"),
        (a_list_of(int, 2, "[1, 2]"), [1], "your list has 1 value; write a list of 2 numbers"),
        (a_list_of(int, 2, "[1, 2]"), [1, "2"], "'2' is not one of the numbers"),
        (a_list_of(str, 1, "['a']"), ("a",), None),
    ],
)
def test_forms(form: Any, answer: object, told: str | None) -> None:
    """What fits passes; what does not gets a sentence."""
    message = form(answer)
    assert message is None if told is None else message.startswith(told)


def test_values_are_short_and_have_no_address() -> None:
    """What differs from run to run would spoil a comparison, and tells a learner nothing."""

    class Broken:
        def __repr__(self) -> str:
            raise ValueError("no")

    assert short("x" * 500).endswith(" ...")
    assert len(short(list(range(500)))) <= 80
    assert short([object(), object()]) == "<list of 2>"
    assert short(test_forms) == "`test_forms`"
    assert short(Broken()) == "an object whose repr() raises ValueError"


def test_an_error_of_the_check_itself_names_no_line(capsys: Any) -> None:
    """Only lines of the learner's own code are shown."""
    test: Any = int
    task = Task("0.1", "number", test, ("-",), "1")
    assert task.check("x") is False
    printed = capsys.readouterr().out
    assert "ValueError" in printed
    assert "line" not in printed


def test_the_line_in_a_comprehension_is_told_with_the_function_around_it(
    cell: Any, capsys: Any
) -> None:
    """A comprehension is a frame of its own in some versions of Python."""
    scope = cell("def f(rows):\n    size = 3\n    return [row['cpu'] for row in rows]\n")
    task = Task("0.1", "sum", lambda value: str(value([{"mem": 1}])), ("-",), "1")
    assert task.check(scope["f"]) is False
    printed = capsys.readouterr().out
    assert "in line 3 of `f`: return [row['cpu'] for row in rows]" in printed
    assert "rows = [{'mem': 1}]" in printed


# -- predictions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "really", "within", "result"),
    [
        (3, 3, 0, "right"),
        (3.0, 3, 0, "right"),
        ("3", 3, 0, "right"),
        (" '3' ", 3, 0, "right"),
        ("three", 3, 0, "right"),
        ("3 pods", 3, 0, "right"),
        ("about 300 s", 305, 15, "close"),
        ("4,7 %", 4.7, 0, "right"),
        ([3], 3, 0, "right"),
        (4, 3, 0, "wrong"),
        (300, 305, 15, "close"),
        (290, 305, 15, "close"),
        (289, 305, 15, "wrong"),
        (320, 305, 15, "close"),
        (305, 305, 15, "right"),
        (True, 1, 0, "wrong"),
        ("many", 3, 9, "wrong"),
        ("Medium", "medium", 0, "right"),
        (" 'medium' ", "medium", 0, "right"),
        ("pods", "pod", 0, "right"),
        ("Deployment", "deployments", 0, "right"),
        ("policies", "policy", 0, "right"),
        ("ReplicaSet controller", "replicaset-controller", 0, "right"),
        ("server", "the server", 0, "right"),
        ("the API server", "the server", 0, "right"),
        ("kube-apiserver", "the server", 0, "right"),
        ("rejected", "refused", 0, "right"),
        ("kubectl", "the server", 0, "wrong"),
        ("large", "medium", 0, "wrong"),
        (5, "medium", 0, "wrong"),
        ("always!", "Always", 0, "right"),
        ([1, 1], [1, 1], 0, "right"),
        ((1, 1), [1, 1], 0, "right"),
        ("404, 409", [404, 409], 0, "right"),
        ("[404 409]", [404, 409], 0, "right"),
        ([404], [404, 409], 0, "wrong"),
        ([409, 404], [404, 409], 0, "wrong"),
        ([1, 3], [1, 1], 2, "close"),
        (404, [404, 409], 0, "wrong"),
        ("yes", True, 0, "right"),
        (False, True, 0, "wrong"),
        ("perhaps", True, 0, "wrong"),
        (None, {"a": 1}, 0, "wrong"),
        (10**400, 5, 3, "wrong"),
        (Fraction(1, 2), 0.5, 0, "right"),
    ],
)
def test_predictions_are_compared_kindly(
    mine: object, really: object, within: float, result: str
) -> None:
    """Tolerance, spelling, quotation marks, plurals; a wrong one stays wrong."""
    assert judge(mine, really, within=within).result == result


def test_each_outcome_of_a_prediction_has_its_text(capsys: Any) -> None:
    """Neutral without one, for words as for numbers; one sentence about the form."""
    predict("a", todo, "Always")
    predict("b", "", 3)
    predict("c", "3", 3)
    predict("d", 300, 305, within=5)
    predict("e", "many", 3)
    predict("f", len, 3)
    predict("g", 4, "medium")
    assert capsys.readouterr().out.splitlines() == [
        "a: the answer is 'Always' (no prediction made).",
        "b: the answer is 3 (no prediction made).",
        "c: you said '3', which is right. A number needs no quotation marks.",
        "d: you said 300, which is close: the answer is 305.",
        "e: you said 'many', but the answer is 3. Find out why before you read on. "
        "The answer is a number.",
        "f: you said <built-in function len>, but the answer is 3. Find out why before you read "
        "on. The answer is a number.",
        "g: you said 4, but the answer is 'medium'. Find out why before you read on. "
        "The answer is a word, in quotation marks.",
    ]


# -- progress ------------------------------------------------------------------------------------


def test_the_course_lists_the_exercises() -> None:
    """`progress()` counts them without importing them."""
    assert [task for lesson in LESSONS for task in lesson.exercises] == [t.id for t in TASKS]


def test_progress_is_honest_when_empty(capsys: Any) -> None:
    """No bar, no file, and where to begin."""
    progress()
    printed = capsys.readouterr().out
    assert re.search(r"all lessons +░{12} 0 of 25 +0 of \d+\n", printed)
    assert "█" not in printed
    assert "Nothing is solved yet. Begin with lesson 1." in printed
    assert "Saved" not in printed


def test_progress_counts_solved_exercises_and_predictions(capsys: Any) -> None:
    """The first prediction counts, none that was not made, and a solved exercise once."""
    task = next(task for task in TASKS if task.id == "1.3")
    for _ in range(2):
        task.check(1)
    predict("events", 3, 2)
    predict("events", 2, 2)
    predict("the counter", todo, 11)
    predict("seconds until it scaled down", 300, 305, within=15)
    capsys.readouterr()
    progress()
    printed = capsys.readouterr().out
    assert re.search(
        r"1 The store and its watch +████░{8} 1 of 3 +1 of 3, 0 right or close\n", printed
    )
    assert re.search(r"4 The autoscaler +░{12} 0 of 3 +1 of 4, 1 right or close\n", printed)
    assert re.search(r"all lessons +█░{11} 1 of 25 +2 of \d+, 1 right or close\n", printed)
    assert "Next: exercise 1.1 in lesson 1" in printed
    assert read_progress().predictions["events"].said == "3"


def test_progress_when_everything_is_solved(tmp_path: Path, capsys: Any) -> None:
    """The file of release 0.2.0, a list of exercises, counts."""
    (tmp_path / "progress.json").write_text("[" + ", ".join(f'"{task.id}"' for task in TASKS) + "]")
    progress()
    printed = capsys.readouterr().out
    assert "Every exercise is solved." in printed
    assert "░" not in printed


def test_a_notebook_shows_the_map_with_links_and_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lesson is a link with its own counts; the next step is one, too."""
    from IPython import display

    from lessons.feedback import progress_map

    shown: list[dict[str, str]] = []
    monkeypatch.setattr(progress_map, "in_a_notebook", lambda: True)
    monkeypatch.setattr(display, "display", lambda data, raw: shown.append(data))
    for task in ("1.1", "1.2", "1.3"):
        remember_solved(task)
    predict("events", 2, 2)
    progress()
    page, text = shown[0]["text/html"], shown[0]["text/plain"]
    links = re.findall(r'<a href="(.+?)">(.+?)</a>', page)
    names = [(lesson.file, f"{lesson.number} {lesson.title}") for lesson in LESSONS]
    assert links == [*names, names[1]]
    assert page.count(f"<code>{'█' * 12}</code> 3 of 3") == 1
    assert "1 of 3, 1 right or close" in page
    assert "<b>all lessons</b>" in page and "3 of 25" in page and "1 of 48, 1 right" in page
    assert "Next: exercise 2.1 in lesson 2, The API server." in page
    assert "Next: exercise 2.1" in text


def test_an_unreadable_file_is_said_and_kept(tmp_path: Path, capsys: Any) -> None:
    """Nothing of the learner's is overwritten."""
    file = tmp_path / "progress.json"
    file.write_text("{broken")
    progress()
    assert "cannot be read" in capsys.readouterr().out
    predict("events", 2, 2)
    assert (tmp_path / "progress.json.unreadable").read_text() == "{broken"
    assert set(read_progress().predictions) == {"events"}


@pytest.mark.parametrize("part", range(26))
def test_a_bar_is_full_only_when_all_is_done(part: int) -> None:
    """And empty only when nothing is."""
    drawn = bar(part, 25)
    assert len(drawn) == 12
    assert (drawn.count("█") == 12) == (part == 25)
    assert (drawn.count("█") == 0) == (part == 0)


# -- buttons -------------------------------------------------------------------------------------


class Disclosures(HTMLParser):
    """The labels of the disclosures of a page, each with its depth; the texts in them."""

    def __init__(self) -> None:
        super().__init__()
        self.depth, self.labels, self.texts, self._tag = 0, [], [], ""  # type: ignore[var-annotated]

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Count the depth; all are closed at first."""
        self._tag = tag
        if tag == "details":
            self.depth += 1
            assert "open" not in dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        """Count the depth."""
        self.depth -= tag == "details"

    def handle_data(self, data: str) -> None:
        """Keep a label or a text."""
        if self._tag == "summary":
            self.labels.append((data, self.depth))
        else:
            self.texts.append(data)
        self._tag = ""


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_the_buttons_show_one_hint_after_the_other_and_the_solution(task: Task) -> None:
    """A hint's button is inside of the hint before it; the texts are those of the calls."""
    page = Disclosures()
    page.feed(help_html(task.hints, task.answer))
    count = len(task.hints)
    labels = [(f"Hint {n} of {count}" if count > 1 else "Hint", n) for n in range(1, count + 1)]
    assert page.labels == [*labels, ("Solution", 1)]
    assert page.depth == 0
    assert "".join(page.texts) == "".join(task.hints) + task.answer


def test_without_a_notebook_there_are_only_the_calls(capsys: Any) -> None:
    """Plain Python prints one line; hint() and solution() print theirs."""
    task = TASKS[0]
    task.check(todo)
    assert len(capsys.readouterr().out.splitlines()) == 1
    task.solution()
    assert capsys.readouterr().out.strip() == task.answer


def test_in_a_notebook_the_buttons_stand_below_an_open_exercise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Below one that is not attempted or not right, and not below a solved one."""
    from IPython import display

    import lessons.check

    shown: list[dict[str, str]] = []
    monkeypatch.setattr(lessons.check, "in_a_notebook", lambda: True)
    monkeypatch.setattr(display, "display", lambda data, raw: shown.append(data))
    task = next(task for task in TASKS if task.id == "1.3")
    task.check(todo)
    task.check(3)
    task.check(1)
    assert len(shown) == 2
    assert shown[0] == shown[1] != {}
    assert set(shown[0]) == {"text/html", "text/plain"}


def test_a_check_at_the_end_of_a_cell_shows_its_feedback_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No ``[1]: False`` below it; the value still counts as True or False, for questions, too."""
    from IPython.core.formatters import DisplayFormatter

    import lessons.check

    monkeypatch.setattr(lessons.check, "in_a_notebook", lambda: True)
    monkeypatch.setattr(Task, "_offer_help", lambda _task: None)
    task = next(task for task in TASKS if task.id == "1.3")
    question = lessons.check.Question("?", {"a": ("yes", True, "so"), "b": ("no", False, "so")})
    for right, wrong in (
        (task.check(1), task.check(3)),
        (question.answer("a"), question.answer("b")),
    ):
        assert right and right == True and not wrong and wrong == False  # noqa: E712
        assert (repr(right), f"{wrong}") == ("True", "False")
        assert DisplayFormatter().format(right) == DisplayFormatter().format(wrong) == ({}, {})
    assert task.check(todo) is None
