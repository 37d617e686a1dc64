"""The simulated process of a container: when it exits, how it stops, what its probes answer.

A container whose command is not understood (`kubesim.kubelet.shell`) has no process, and some
annotations override a command. Annotations of a pod say how its containers behave
(`kubesim.objects.wellknown`), and your own workload model may answer its probes with a
method ``probe(kind, now) -> bool``.

>>> pod = {"metadata": {"annotations": {"kubesim.dev/probe": '{"ready_after_seconds": 20}'}}}
>>> answers = behaviour_of(pod, "web", "main", warn=print).answers
>>> answers.healthy("readiness", age=19.0), answers.healthy("readiness", age=20.0)
(False, True)

No counterpart in Kubernetes: there, the image decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import inf
from typing import TYPE_CHECKING

from kubesim.clock.streams import keyed_fraction
from kubesim.kubelet.images import MISSING
from kubesim.kubelet.pod.phase import INIT, MAIN
from kubesim.kubelet.stages import MOST_EXIT_CODE
from kubesim.objects import meta
from kubesim.objects.wellknown import (
    EXIT_CODE,
    PROBE,
    RUN_SECONDS,
    START_SECONDS,
    STOP_EXIT_CODE,
    STOP_SECONDS,
    TERMINATION_MESSAGE,
    WORKLOAD,
)

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, PodDict

START_DELAY_SECONDS = 1.0  # to set up the pod's sandbox, as the original took to start a pod
INIT_SECONDS = 1.0  # run time of an init container whose command is not understood
JOB_SECONDS = 5.0  # run time of a main container of that sort in a pod that is not restarted always
TERM_EXIT_CODE = 143  # 128 + SIGTERM: a process that does not catch it
MOST_SECONDS = 1e9

Warn = Callable[[str], object]
"""warn(message): called for each annotation that cannot be used."""


@dataclass(frozen=True, slots=True)
class Answers:
    """How a container answers its probes; ages are seconds since that container started.

    Attributes:
        started_after_seconds: age before which every probe fails.
        ready_after_seconds: age before which readiness probes fail.
        fail_liveness_at: age from which liveness probes fail; None: never.
        fail_readiness_at: age from which readiness probes fail; None: never.
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
            draw: name of this attempt; the same name gives the same random result.
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
    """How the process of one container behaves.

    Attributes:
        run_seconds: time after which it exits by itself; None: by its program, or never.
        exit_code: its exit code then.
        stop_seconds: from SIGTERM to its end; infinite if it ignores SIGTERM.
        stop_exit_code: its exit code after SIGTERM.
        termination_message: message of its termination.
        answers: to its probes.
    """

    run_seconds: float | None = None
    exit_code: int = 0
    stop_seconds: float = 0.0
    stop_exit_code: int = 0
    termination_message: str = ""
    answers: Answers = field(default_factory=Answers)


SERVER = Behaviour()
WORK = Behaviour(stop_exit_code=TERM_EXIT_CODE)  # fails when it is interrupted
PREFIX = "kubesim.dev/"


def behaviour_of(pod: PodDict, container: str, kind: str, warn: Warn) -> Behaviour:
    """Return how a container behaves, by its pod's annotations.

    Args:
        pod: the pod.
        container: its name.
        kind: main, init or sidecar.
        warn: called for each annotation that cannot be used; its default holds then.
    """
    annotations = meta.annotations_of(pod)
    works = has_an_end(pod, kind)
    if not any(name.startswith(PREFIX) for name in annotations):
        return WORK if works else SERVER  # shared by all pods without such annotations

    def value_of(annotation: str) -> tuple[str, str | None]:
        own = f"{annotation}.{container}"
        if own in annotations:
            return own, annotations[own]
        return annotation, annotations.get(annotation) if kind == MAIN else None

    def number(annotation: str, default: float | None) -> float | None:
        return parse_seconds(*value_of(annotation), default, warn)

    def code(annotation: str, default: int) -> int:
        return parse_exit_code(*value_of(annotation), default, warn)

    ignores = value_of(STOP_SECONDS)[1] == "never"
    run_seconds = number(RUN_SECONDS, None)
    return Behaviour(
        run_seconds=run_seconds,
        exit_code=code(EXIT_CODE, 0),
        stop_seconds=inf if ignores else number(STOP_SECONDS, 0.0) or 0.0,
        stop_exit_code=code(STOP_EXIT_CODE, TERM_EXIT_CODE if ignores or works else 0),
        termination_message=value_of(TERMINATION_MESSAGE)[1] or "",
        answers=_answers(*value_of(PROBE), warn),
    )


def has_an_end(pod: PodDict, kind: str) -> bool:
    """Whether a container's program is work with an end, and not a server.

    Args:
        pod: the pod.
        kind: main, init or sidecar.
    """
    policy = (pod.get("spec") or {}).get("restartPolicy")
    return kind == INIT or (kind == MAIN and policy in ("Never", "OnFailure"))


def start_delay(pod: PodDict, warn: Warn) -> float:
    """Return the seconds from a pod's admission to the start of its first container.

    Args:
        pod: the pod.
        warn: called if the annotation cannot be used; the default holds then.
    """
    value = meta.annotations_of(pod).get(START_SECONDS)
    return parse_seconds(START_SECONDS, value, START_DELAY_SECONDS, warn) or 0.0


def parse_seconds(
    annotation: str, value: str | None, default: float | None, warn: Warn
) -> float | None:
    """Parse a non-negative number of an annotation.

    Args:
        annotation: its name, for the warning.
        value: its value; None: the pod does not have it.
        default: returned if the annotation is missing or malformed.
        warn: called if it is malformed.
    """
    if value is None:
        return default
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds < MOST_SECONDS:
        return seconds
    warn(f"annotation {annotation}: {value[:40]!r} must be a number of 0 or more; it is ignored")
    return default


def parse_exit_code(annotation: str, value: str | None, default: int, warn: Warn) -> int:
    """Parse an exit code of an annotation: a process ends with one byte.

    Args:
        annotation: its name, for the warning.
        value: its value; None: the pod does not have it.
        default: returned if the annotation is missing or malformed.
        warn: called if it is malformed.

    >>> [parse_exit_code("exit-code", value, 0, print) for value in ("3", None)]
    [3, 0]
    >>> parse_exit_code("exit-code", "300", 0, print)
    annotation exit-code: '300' must be a whole number from 0 to 255; it is ignored
    0
    """
    if value is None:
        return default
    if re.fullmatch("[0-9]{1,3}", value.strip(), re.ASCII) and int(value) <= MOST_EXIT_CODE:
        return int(value)
    warn(
        f"annotation {annotation}: {value[:40]!r} must be a whole number from 0 to "
        f"{MOST_EXIT_CODE}; it is ignored"
    )
    return default


def _answers(annotation: str, value: str | None, warn: Warn) -> Answers:
    if value is None:
        return Answers()
    names = [names.name for names in fields(Answers)]
    try:
        options = json.loads(value)
        if not isinstance(options, dict) or not set(options) <= set(names):
            raise ValueError(f"its fields are: {', '.join(names)}")
        return Answers(**{name: float(number) for name, number in options.items()})
    except (ValueError, TypeError) as error:
        warn(f"annotation {annotation}: {value[:60]!r} is ignored: {error}")
        return Answers()


def start_error(container: ContainerDict) -> str:
    """Return why a container's process cannot be started; "" if it can.

    The rule of this simulator: a command whose program is named ``does-not-exist`` or ``missing``
    (in any folder) is not in the image.

    >>> start_error({"command": ["/bin/does-not-exist", "-v"]})[:31]
    'failed to create containerd tas'
    """
    command = container.get("command") or ()
    program = str(command[0]) if command else ""
    if program.rpartition("/")[2] not in MISSING:
        return ""
    reason = "no such file or directory" if "/" in program else "executable file not found in $PATH"
    where = "stat" if "/" in program else "exec:"
    program = program if "/" in program else f'"{program}"'
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        "runc create failed: unable to start container process: error during container init: "
        f"{where} {program}: {reason}: unknown"
    )


def may_exceed_memory(pod: PodDict, container: str) -> bool:
    """Whether the usage model of a container may exceed the memory limit, so that it is OOM-killed.

    The built-in models draw memory at random or use a default: they stay below a limit, as a
    program that knows its limit would. Your own model, or one with an amount in its
    annotation, is not capped.

    Args:
        pod: the pod.
        container: name of the container.
    """
    annotations = meta.annotations_of(pod)
    value = annotations.get(f"{WORKLOAD}.{container}", annotations.get(WORKLOAD))
    if value is None:
        return False
    try:
        options = json.loads(value)
    except ValueError:
        return False
    if not isinstance(options, dict):
        return False
    return "memory_mb" in options or options.get("model") not in (None, "default", "load", "seed")


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
