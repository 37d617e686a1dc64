"""podFailurePolicy and successPolicy: which failures count how, and which successes are enough.

The first rule that matches a failed pod decides: Ignore (it does not count), Count (as ever),
FailIndex (its index gives up), FailJob (all of it does). A rule looks at exit codes, or at the
pod's conditions, such as DisruptionTarget.

>>> from kubesim.controllers.shared.ranking import RankedPod
>>> rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
>>> pod = JobPod("p", RankedPod("1"), conditions=(("DisruptionTarget", "True"),))
>>> match_failure([rule], pod).counts
False

Source: pkg/controller/job/pod_failure_policy.go, success_policy.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kubesim.controllers.job.backoff import parse_indexes
from kubesim.controllers.job.facts import JobPod

Rules = Sequence[Mapping[str, Any]]


class FailureMatch(NamedTuple):
    """What the policy says of one failed pod.

    Attributes:
        counts: the failure counts towards backoffLimit.
        action: of the rule that matched; "" if none did.
        message: of a rule that fails the Job.
    """

    counts: bool = True
    action: str = ""
    message: str = ""


def match_failure(rules: Rules | None, pod: JobPod) -> FailureMatch:
    """The first rule that matches a failed pod.

    Args:
        rules: of podFailurePolicy; None: there is no policy, every failure counts.
        pod: a failed pod.
    """
    for number, rule in enumerate(rules or ()):
        said = ""
        if rule.get("onExitCodes") is not None:
            found = _container(rule["onExitCodes"], pod)
            if found is not None:
                said = (
                    f"Container {found[0]} for pod {pod.namespace}/{pod.name} failed with exit "
                    f"code {found[1]}"
                )
        elif rule.get("onPodConditions") is not None:
            type = _condition(rule["onPodConditions"], pod)
            if type:
                said = f"Pod {pod.namespace}/{pod.name} has condition {type}"
        if said:
            action = str(rule.get("action"))
            message = f"{said} matching {action} rule at index {number}"
            fails = action == "FailJob"
            return FailureMatch(action != "Ignore", action, message if fails else "")
    return FailureMatch()


def _container(wanted: Mapping[str, Any], pod: JobPod) -> tuple[str, int] | None:
    """The first container that failed with one of the codes (In), or with another (NotIn)."""
    name, codes = wanted.get("containerName"), wanted.get("values") or ()
    for container, code in pod.exits:
        if code == 0 or (name and container != name):
            continue
        if (code in codes) == (wanted.get("operator") == "In"):
            return container, code
    return None


def _condition(wanted: Sequence[Mapping[str, Any]], pod: JobPod) -> str:
    for pattern in wanted:
        if (pattern.get("type"), pattern.get("status") or "True") in pod.conditions:
            return str(pattern["type"])
    return ""


def match_success(rules: Rules, completions: int, succeeded: frozenset[int]) -> str:
    """The message of the first rule of a successPolicy that is met; "" if none is.

    Args:
        rules: of successPolicy.
        completions: spec.completions.
        succeeded: the indexes that succeeded so far.
    """
    for number, rule in enumerate(rules if succeeded else ()):
        count = rule.get("succeededCount")
        wanted = frozenset(range(completions))
        if rule.get("succeededIndexes") is not None:
            wanted = parse_indexes(rule["succeededIndexes"], completions)
        enough = len(wanted) if count is None else int(count)
        if len(wanted & succeeded) >= enough:
            return f"Matched rules at index {number}"
    return ""
