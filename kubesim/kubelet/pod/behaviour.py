"""What the process in a container would do: when it exits, how it stops, what it answers to probes.

A simulated container has no process; annotations of its pod say how it behaves
(`kubesim.objects.wellknown`), and a workload model of your own may answer its probes itself with
a method ``probe(kind, now) -> bool``.

>>> pod = {"metadata": {"annotations": {"kubesim.dev/probe": '{"ready_after_seconds": 20}'}}}
>>> answers = behaviour_of(pod, "web", "main", complain=print).answers
>>> answers.healthy("readiness", age=19.0), answers.healthy("readiness", age=20.0)
(False, True)

No counterpart in Kubernetes: there, the image decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any

from kubesim.clock.streams import keyed_fraction
from kubesim.kubelet.images import MISSING
from kubesim.kubelet.pod.phase import INIT, MAIN
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import (
    EXIT_CODE,
    PROBE,
    RUN_SECONDS,
    STOP_EXIT_CODE,
    STOP_SECONDS,
    TERMINATION_MESSAGE,
    WORKLOAD,
)

INIT_SECONDS = 1.0  # how long an init container runs that does not say
MOST_SECONDS = 1e9

Complain = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """How a container answers its probes; all ages are seconds since that container started.

    Attributes:
        started_after_seconds: every probe fails before.
        ready_after_seconds: readiness fails before.
        fail_liveness_at: liveness fails from this age on; None: never.
        fail_readiness_at: readiness fails from this age on; None: never.
        fail_seconds: how long these failures last; None: for good.
        flaky: share of attempts that fail at random, from 0 to 1.
        response_seconds: how long each answer takes; more than timeoutSeconds is a failure.
    """

    started_after_seconds: float = 0.0
    ready_after_seconds: float = 0.0
    fail_liveness_at: float | None = None
    fail_readiness_at: float | None = None
    fail_seconds: float | None = None
    flaky: float = 0.0
    response_seconds: float = 0.0

    def healthy(self, kind: str, age: float, draw: str = "") -> bool:
        """Whether an attempt succeeds.

        Args:
            kind: startup, liveness or readiness.
            age: seconds since the container started.
            draw: names this attempt; the same name draws the same luck.
        """
        if age < self.started_after_seconds:
            return False
        if kind == "readiness" and age < self.ready_after_seconds:
            return False
        begin = {"liveness": self.fail_liveness_at, "readiness": self.fail_readiness_at}.get(kind)
        if begin is not None and begin <= age < begin + _or(self.fail_seconds, inf):
            return False
        return not (self.flaky > 0 and keyed_fraction(f"probe/{draw}") < self.flaky)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one container does.

    Attributes:
        run_seconds: it exits by itself after so long; None: it runs for good.
        exit_code: with this code.
        stop_seconds: from SIGTERM to its end; infinite if it ignores SIGTERM.
        stop_exit_code: its exit code then.
        termination_message: what it leaves behind.
        answers: to its probes.
    """

    run_seconds: float | None = None
    exit_code: int = 0
    stop_seconds: float = 0.0
    stop_exit_code: int = 0
    termination_message: str = ""
    answers: Answers = field(default_factory=Answers)


FOREVER = Behaviour()
ONCE = Behaviour(run_seconds=INIT_SECONDS)
PREFIX = "kubesim.dev/"


def behaviour_of(pod: Document, container: str, kind: str, complain: Complain) -> Behaviour:
    """How a container of a pod behaves, by the pod's annotations.

    Args:
        pod: the pod.
        container: its name.
        kind: main, init or sidecar.
        complain: told of each annotation that makes no sense; the default is taken then.
    """
    notes = meta.annotations_of(pod)
    if not any(name.startswith(PREFIX) for name in notes):
        return ONCE if kind == INIT else FOREVER  # shared by all the pods that say nothing

    def text(annotation: str) -> tuple[str, str | None]:
        own = f"{annotation}.{container}"
        if own in notes:
            return own, notes[own]
        return annotation, notes.get(annotation) if kind == MAIN else None

    def number(annotation: str, default: float | None) -> float | None:
        return seconds_in(*text(annotation), default, complain)

    ignores = text(STOP_SECONDS)[1] == "never"
    run_seconds = number(RUN_SECONDS, INIT_SECONDS if kind == INIT else None)
    # Work that has an end and is interrupted is not done; a server that is stopped is.
    policy = (pod.get("spec") or {}).get("restartPolicy")
    works = run_seconds is not None and policy in ("Never", "OnFailure")
    stop_code = 143.0 if ignores or works else 0.0
    return Behaviour(
        run_seconds=run_seconds,
        exit_code=int(number(EXIT_CODE, 0.0) or 0),
        stop_seconds=inf if ignores else number(STOP_SECONDS, 0.0) or 0.0,
        stop_exit_code=int(_or(number(STOP_EXIT_CODE, stop_code), 0.0)),
        termination_message=text(TERMINATION_MESSAGE)[1] or "",
        answers=_answers(*text(PROBE), complain),
    )


def seconds_in(
    annotation: str, text: str | None, default: float | None, complain: Complain
) -> float | None:
    """A number of 0 or more from an annotation; the default if it is missing or malformed."""
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 <= value < MOST_SECONDS:
        return value
    complain(f"annotation {annotation}: {text[:40]!r} is no number of 0 or more; it is ignored")
    return default


def _answers(annotation: str, text: str | None, complain: Complain) -> Answers:
    if text is None:
        return Answers()
    known = [known.name for known in fields(Answers)]
    try:
        options = json.loads(text)
        if not isinstance(options, dict) or not set(options) <= set(known):
            raise ValueError(f"its fields are: {', '.join(known)}")
        return Answers(**{name: float(value) for name, value in options.items()})
    except (ValueError, TypeError) as error:
        complain(f"annotation {annotation}: {text[:60]!r} is ignored: {error}")
        return Answers()


def start_error(container: Mapping[str, Any]) -> str:
    """Why a container's process cannot be started; "" if it can.

    The rule of this simulator: a command whose program is named ``does-not-exist`` or ``missing``
    (in any folder) is not in the image.

    >>> start_error({"command": ["/bin/does-not-exist", "-v"]})[:31]
    'failed to create containerd tas'
    """
    command = container.get("command") or ()
    program = str(command[0]) if command else ""
    if program.rpartition("/")[2] not in MISSING:
        return ""
    why = "no such file or directory" if "/" in program else "executable file not found in $PATH"
    where = "stat" if "/" in program else "exec:"
    program = program if "/" in program else f'"{program}"'
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        "runc create failed: unable to start container process: error during container init: "
        f"{where} {program}: {why}: unknown"
    )


def may_exceed_memory(pod: Document, container: str) -> bool:
    """Whether a container's usage model means what it says of memory, also above the limit.

    The built-in models draw memory at random or take a default: they stay below a limit, as a
    program that was given one would. A model of your own, or one that was told an amount, is taken
    at its word: above the limit it is killed.

    Args:
        pod: the pod.
        container: which of its containers.
    """
    notes = meta.annotations_of(pod)
    text = notes.get(f"{WORKLOAD}.{container}", notes.get(WORKLOAD))
    if text is None:
        return False
    try:
        options = json.loads(text)
    except ValueError:
        return False
    if not isinstance(options, dict):
        return False
    return "memory_mb" in options or options.get("model") not in (None, "default", "load", "seed")


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
