"""podFailurePolicy and successPolicy: how failures count, and which successes are sufficient.

The first rule that matches a failed pod applies: Ignore (it does not count), Count (it counts),
FailIndex (its index fails), FailJob (the Job fails). A rule matches exit codes or pod conditions
such as DisruptionTarget.

>>> from kubesim.controllers.shared.ranking import RankedPod
>>> rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
>>> pod = JobPod("p", RankedPod("1"), conditions=(("DisruptionTarget", "True"),))
>>> match_failure([rule], pod).counts
False

Source: pkg/controller/job/pod_failure_policy.go, success_policy.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kubesim.controllers.job.backoff import parse_indexes
from kubesim.controllers.job.facts import JobPod

if TYPE_CHECKING:
    from kubesim.objects.types import (
        PodFailurePolicyOnExitCodesRequirementDict,
        PodFailurePolicyOnPodConditionsPatternDict,
        PodFailurePolicyRuleDict,
        SuccessPolicyRuleDict,
    )


class FailureMatch(NamedTuple):
    """How the policy treats one failed pod.

    Attributes:
        counts: the failure counts towards backoffLimit.
        action: action of the matching rule; "" if none matches.
        message: condition message of a rule that fails the Job.
    """

    counts: bool = True
    action: str = ""
    message: str = ""


def match_failure(rules: Sequence[PodFailurePolicyRuleDict] | None, pod: JobPod) -> FailureMatch:
    """Return how the first matching rule treats a failed pod.

    Args:
        rules: rules of podFailurePolicy; None: there is no policy, every failure counts.
        pod: a failed pod.
    """
    for number, rule in enumerate(rules or ()):
        cause = ""
        if rule.get("onExitCodes") is not None:
            match = _matching_container(rule["onExitCodes"], pod)
            if match is not None:
                cause = (
                    f"Container {match[0]} for pod {pod.namespace}/{pod.name} failed with exit "
                    f"code {match[1]}"
                )
        elif rule.get("onPodConditions") is not None:
            type = _matching_condition(rule["onPodConditions"], pod)
            if type:
                cause = f"Pod {pod.namespace}/{pod.name} has condition {type}"
        if cause:
            action = str(rule.get("action"))
            message = f"{cause} matching {action} rule at index {number}"
            fails = action == "FailJob"
            return FailureMatch(action != "Ignore", action, message if fails else "")
    return FailureMatch()


def _matching_container(
    requirement: PodFailurePolicyOnExitCodesRequirementDict, pod: JobPod
) -> tuple[str, int] | None:
    """Return the first container whose exit code is in (In) or not in (NotIn) the values."""
    name, codes = requirement.get("containerName"), requirement.get("values") or ()
    for container, code in pod.exits:
        if code == 0 or (name and container != name):
            continue
        if (code in codes) == (requirement.get("operator") == "In"):
            return container, code
    return None


def _matching_condition(
    patterns: Sequence[PodFailurePolicyOnPodConditionsPatternDict], pod: JobPod
) -> str:
    for pattern in patterns:
        if (pattern.get("type"), pattern.get("status") or "True") in pod.conditions:
            return str(pattern["type"])
    return ""


def match_success(
    rules: Sequence[SuccessPolicyRuleDict], completions: int, succeeded: frozenset[int]
) -> str:
    """Return the message of the first successPolicy rule that is met; "" if none is.

    Args:
        rules: rules of successPolicy.
        completions: spec.completions.
        succeeded: the indexes that succeeded.
    """
    for number, rule in enumerate(rules if succeeded else ()):
        count = rule.get("succeededCount")
        desired = frozenset(range(completions))
        if rule.get("succeededIndexes") is not None:
            desired = parse_indexes(rule["succeededIndexes"], completions)
        enough = len(desired) if count is None else int(count)
        if len(desired & succeeded) >= enough:
            return f"Matched rules at index {number}"
    return ""
