"""Programs that would take all time or memory take simulated time, or fail with a message."""

from __future__ import annotations

import pytest

from kubesim.kubelet.process.start import start
from kubesim.kubelet.shell.files import FileSystem
from kubesim.kubelet.shell.state import ContainerHost
from kubesim.kubelet.shell.steps import COMMANDS_PER_SECOND, Output, Sleep

STEPS = 400  # the first steps of a program


def steps_of(program: str) -> tuple[list[Output | Sleep], int | None]:
    """Run the first steps of a program; return them and its exit code, None: it goes on."""
    run = start(["sh", "-c", program], ContainerHost("web-0", FileSystem(), lambda: 0.0), {})
    assert run is not None
    steps: list[Output | Sleep] = []
    while len(steps) < STEPS:
        try:
            step = next(run)
        except StopIteration as end:
            return steps, end.value
        assert isinstance(step, Output | Sleep)
        steps.append(step)
    return steps, None


@pytest.mark.parametrize(
    "program",
    ["while true; do :; done", "until false; do a=$((a+1)); done", "seq 1 99999999 > /dev/null"],
)
def test_an_endless_program_takes_simulated_time(program: str) -> None:
    """A pause after each burst of commands, twice as long after the next one."""
    steps = []
    run = start(["sh", "-c", program], ContainerHost("web-0", FileSystem(), lambda: 0.0), {})
    assert run is not None
    while len(steps) < 9:
        steps.append(next(run))
    assert steps == [Sleep(float(s)) for s in (1, 2, 4, 8, 16, 32, 64, 64, 64)]


def test_a_fork_bomb_ends() -> None:
    """What it puts in the background is counted like everything else."""
    steps, _ = steps_of("f() { f | f & }; f; f")
    errors = [step.text for step in steps if isinstance(step, Output)]
    assert "maximum nested commands reached" in errors[0]


def test_a_program_that_sleeps_is_not_slowed_down() -> None:
    """Its own pauses are enough."""
    steps, _ = steps_of("while true; do sleep 0.1; done")
    assert {step.seconds for step in steps if isinstance(step, Sleep)} == {0.1}
    assert COMMANDS_PER_SECOND > STEPS


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("f() { f; }; f", "maximum nested commands reached"),
        ("f() { $(f); }; f", "maximum nested commands reached"),
        ('x="eval \\$x"; eval $x', "maximum nested commands reached"),
        ("x=a; while :; do x=$x$x; done", "value too long"),
        ("x=$(seq 1 900); y=${x//1/$x}", "too long"),
        ("x=$(seq 1 5000); echo ${x%%*9*8*7}", "too long to be trimmed"),
        ("for i in $(seq 1 20000); do :; done", "Argument list too long"),
        ("echo " + "$((" + "(" * 100 + "1" + ")" * 100 + "))", "nested too deeply"),
        ("echo $((1/0))", "division by zero"),
    ],
)
def test_what_exceeds_a_limit_fails_with_a_message(program: str, message: str) -> None:
    """And leaves the simulator alone."""
    steps, code = steps_of(program)
    errors = "".join(step.text for step in steps if isinstance(step, Output) and step.stream == 2)
    assert message in errors
    assert code


def test_a_full_disk() -> None:
    """A volume holds a million characters."""
    steps, _ = steps_of("x=$(seq 1 9000); while echo $x >> /tmp/f; do :; done")
    errors = [step.text for step in steps if isinstance(step, Output) and step.stream == 2]
    assert errors and "No space left on device" in errors[0]


@pytest.mark.parametrize(
    "source",
    [
        "fi",
        "if true",
        "for",
        "echo 'x",
        "case x in",
        "(",
        ")",
        "echo ${",
        "echo $(",
        "a() ;",
        "cat <<",
        "cat << EOF",
        "&&",
        "!",
        "echo " + "$(" * 10_000 + ")" * 10_000,
        "echo " + "${x:-" * 10_000 + "}" * 10_000,
        "echo " + "$((" * 10_000,
        "(" * 10_000,
    ],
)
def test_a_malformed_program_says_so(source: str) -> None:
    """Exit code 2 and a message, never an exception."""
    steps, code = steps_of(source)
    assert code == 2
    assert isinstance(steps[0], Output)
    assert steps[0].text.startswith("sh: ")
