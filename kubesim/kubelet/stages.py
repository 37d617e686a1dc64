"""Stages: rules about the life of pods, chosen by label, for a whole cluster.

>>> slow = PodStage("app=web", start_seconds=20, fail_share=0.05)
>>> pod = {"metadata": {"uid": "u-1", "labels": {"app": "web"}}}
>>> describe(pod, [slow])["metadata"]["annotations"]
{'kubesim.dev/start-seconds': '20'}
>>> describe({"metadata": {"labels": {"app": "db"}}}, [slow])
{'metadata': {'labels': {'app': 'db'}}}

A pod may carry a stage of its own, as JSON: ``kubesim.dev/stage: '{"start_seconds": 20}'``. Later
stages of the list override earlier ones, the pod's own stage all of them, and the annotations of
`kubesim.objects.wellknown` everything.

No counterpart in Kubernetes; the nearest is the Stage of kwok
(https://kwok.sigs.k8s.io/docs/user/stages-configuration/).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING

from kubesim.clock.streams import keyed_fraction
from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.selectors import parse_label_selector
from kubesim.objects.wellknown import (
    EXIT_CODE,
    RUN_SECONDS,
    STAGE,
    START_SECONDS,
    STOP_SECONDS,
)

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

MOST_EXIT_CODE = 255  # a process ends with one byte
FAILURE_SECONDS = 1.0  # after which a pod exits that was drawn to fail


@dataclass(frozen=True, slots=True)
class PodStage:
    """A rule about the life of some pods.

    Attributes:
        selector: label selector, such as ``app=web,tier!=test``; "": all pods.
        start_seconds: from admission to running containers; None: as without the rule.
        run_seconds: after which the main containers exit by themselves.
        exit_code: with which they exit then, 0 to 255.
        stop_seconds: from SIGTERM to the end.
        fail_share: share of the pods, from 0 to 1, that fail: their main containers exit with 1
            (or `exit_code`) after `run_seconds`, or one second. Which ones is drawn by their uid.

    Raises:
        BadRequest: a field makes no sense; the message names it.
    """

    selector: str = ""
    start_seconds: float | None = None
    run_seconds: float | None = None
    exit_code: int | None = None
    stop_seconds: float | None = None
    fail_share: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.selector, str):
            raise BadRequest(f"stage: selector must be a string, not {self.selector!r}")
        parse_label_selector(self.selector)
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value is None:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not isfinite(value) or value < 0:
                raise BadRequest(
                    f"stage: {field.name} must be a number of at least 0, not {value!r}"
                )
        code = self.exit_code
        if code is not None and (code != int(code) or code > MOST_EXIT_CODE):
            raise BadRequest(
                f"stage: exit_code must be a whole number from 0 to {MOST_EXIT_CODE}, not {code!r}"
            )
        if self.fail_share > 1:
            raise BadRequest(
                f"stage: fail_share must be from 0 to 1, not {self.fail_share!r}",
                hint="5 % is 0.05",
            )

    def matches(self, pod: PodDict) -> bool:
        """Whether the rule is about a pod."""
        return parse_label_selector(self.selector).matches(meta.labels_of(pod))

    def annotations(self, pod: PodDict) -> dict[str, str]:
        """Return the rule as annotations of a pod."""
        values = {
            START_SECONDS: self.start_seconds,
            RUN_SECONDS: self.run_seconds,
            EXIT_CODE: self.exit_code,
            STOP_SECONDS: self.stop_seconds,
        }
        if self.fail_share and keyed_fraction(f"stage/{meta.uid_of(pod)}") < self.fail_share:
            values[RUN_SECONDS] = FAILURE_SECONDS if self.run_seconds is None else self.run_seconds
            values[EXIT_CODE] = self.exit_code or 1
        elif self.fail_share:
            values[EXIT_CODE] = None  # it is the exit code of those that fail
        return {name: f"{value:.15g}" for name, value in values.items() if value is not None}


def describe(pod: PodDict, stages: Sequence[PodStage]) -> PodDict:
    """Return a pod with the annotations of the stages that are about it; the pod itself if none is.

    Args:
        pod: the pod.
        stages: of the cluster.

    Raises:
        BadRequest: the pod's own stage cannot be used.
    """
    own = meta.annotations_of(pod)
    given = [stage for stage in stages if stage.matches(pod)]
    if STAGE in own:
        given.append(stage_of(own[STAGE]))
    if not given:
        return pod
    annotations: dict[str, str] = {}
    for stage in given:
        annotations |= stage.annotations(pod)
    metadata = pod.get("metadata") or {}
    return {**pod, "metadata": {**metadata, "annotations": {**annotations, **own}}}


def stage_of(text: str) -> PodStage:
    """Parse the annotation of a pod.

    Raises:
        BadRequest: it is not a JSON object with the fields of a `PodStage` but the selector.
    """
    names = [field.name for field in fields(PodStage)[1:]]
    try:
        values = json.loads(text)
    except ValueError as error:
        raise BadRequest(f"annotation {STAGE}: {text[:60]!r} is not JSON: {error}") from error
    if not isinstance(values, dict) or not set(values) <= set(names):
        raise BadRequest(
            f"annotation {STAGE} must be an object; its fields are: {', '.join(names)}"
        )
    return PodStage(**values)
