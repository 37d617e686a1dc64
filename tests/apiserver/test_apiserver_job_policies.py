"""podFailurePolicy and successPolicy of a Job: defaults and validation."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.kinds.job_policies import read_indexes
from kubesim.errors import Invalid

CODES = {"operator": "In", "values": [1, 3]}
WHERE = [{"type": "DisruptionTarget", "status": "True"}]


def job(**spec: Any) -> dict[str, Any]:
    """Return an indexed Job with five completions."""
    container = {"name": "main", "image": "i"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    base = {"completions": 5, "completionMode": "Indexed", "template": template}
    return {"kind": "Job", "metadata": {"name": "j"}, "spec": {**base, **spec}}


def failing(*rules: Any) -> dict[str, Any]:
    """Return a Job with a podFailurePolicy."""
    return job(podFailurePolicy={"rules": list(rules)})


def succeeding(*rules: Any) -> dict[str, Any]:
    """Return a Job with a successPolicy."""
    return job(successPolicy={"rules": list(rules)})


def rule(**fields: Any) -> dict[str, Any]:
    """Return a rule with action Ignore."""
    return {"action": "Ignore", **fields}


FAILURE, SUCCESS = "spec.podFailurePolicy.rules", "spec.successPolicy.rules"
ROWS: list[tuple[dict[str, Any], str, str]] = [
    (failing({"onExitCodes": CODES}), f"{FAILURE}[0].action", "Required value: valid values"),
    (failing(rule(onExitCodes=CODES, action="Shrug")), f"{FAILURE}[0].action", "Unsupported"),
    (
        failing(rule(onExitCodes=CODES, action="FailIndex")),
        f"{FAILURE}[0].action",
        "requires the backoffLimitPerIndex to be set",
    ),
    (failing(rule()), f"{FAILURE}[0]", "specifying one of OnExitCodes and OnPodConditions"),
    (
        failing(rule(onExitCodes=CODES, onPodConditions=WHERE)),
        f"{FAILURE}[0]",
        "specifying both OnExitCodes and OnPodConditions is not supported",
    ),
    (
        failing(rule(onExitCodes={**CODES, "operator": ""})),
        f"{FAILURE}[0].onExitCodes.operator",
        "Required value",
    ),
    (
        failing(rule(onExitCodes={**CODES, "operator": "Gt"})),
        f"{FAILURE}[0].onExitCodes.operator",
        'supported values: "In", "NotIn"',
    ),
    (
        failing(rule(onExitCodes={**CODES, "containerName": "other"})),
        f"{FAILURE}[0].onExitCodes.containerName",
        "must be one of the container or initContainer names in the pod template",
    ),
    (
        failing(rule(onExitCodes={**CODES, "values": []})),
        f"{FAILURE}[0].onExitCodes.values",
        "at least one value is required",
    ),
    (
        failing(rule(onExitCodes={**CODES, "values": [0]})),
        f"{FAILURE}[0].onExitCodes.values[0]",
        "must not be 0 for the In operator",
    ),
    (
        failing(rule(onExitCodes={**CODES, "values": [3, 3]})),
        f"{FAILURE}[0].onExitCodes.values[1]",
        "Duplicate value: 3",
    ),
    (
        failing(rule(onExitCodes={**CODES, "values": [3, 1]})),
        f"{FAILURE}[0].onExitCodes.values",
        "must be ordered",
    ),
    (
        failing(rule(onPodConditions=[{"type": "X", "status": "Maybe"}])),
        f"{FAILURE}[0].onPodConditions[0].status",
        "Unsupported value",
    ),
    (failing(*[rule(onExitCodes=CODES)] * 21), FAILURE, "must have at most 20 items"),
    (
        job(successPolicy={"rules": [{"succeededCount": 1}]}, completionMode="NonIndexed"),
        "spec.successPolicy",
        "requires indexed completion mode",
    ),
    (succeeding(), SUCCESS, "at least one rules must be specified"),
    (succeeding({}), f"{SUCCESS}[0]", "at least one of succeededCount or succeededIndexes"),
    (
        succeeding({"succeededCount": 6}),
        f"{SUCCESS}[0].succeededCount",
        "must be less than or equal to 5 (the number of specified completions)",
    ),
    (
        succeeding({"succeededCount": 3, "succeededIndexes": "0-1"}),
        f"{SUCCESS}[0].succeededCount",
        "must be less than or equal to 2 (the number of indexes in the specified",
    ),
    (
        succeeding({"succeededIndexes": "0,x"}),
        f"{SUCCESS}[0].succeededIndexes",
        'error parsing succeededIndexes: cannot convert string to integer for index: "x"',
    ),
]


@pytest.mark.parametrize(("document", "field", "text"), ROWS)
def test_what_is_refused(api: KubeAPI, document: Any, field: str, text: str) -> None:
    """Each violation is one cause with its path."""
    with pytest.raises(Invalid) as caught:
        api.create(document)
    (cause,) = caught.value.causes
    assert cause.field == field
    assert text in cause.message


def test_what_is_filled_in(api: KubeAPI) -> None:
    """Pattern status defaults to True, podReplacementPolicy to Failed."""
    rules = [rule(onPodConditions=[{"type": "X"}]), rule(onExitCodes=CODES, action="FailJob")]
    new = api.create(failing(*rules))["spec"]
    assert new["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"] == "True"
    assert new["podReplacementPolicy"] == "Failed"


@pytest.mark.parametrize(
    ("text", "total", "complaint"),
    [
        ("", 0, ""),
        ("0", 1, ""),
        ("0,2-4", 4, ""),
        ("4-2", 0, "non-increasing order, previous: 4, current: 2"),
        ("1,1", 0, "non-increasing order, previous: 1, current: 1"),
        ("5", 0, 'too large index: "5"'),
        ("1-2-3", 0, "at most two parts"),
        ("-1", 0, 'cannot convert string to integer for index: ""'),
        (7, 0, "it is not a string"),
    ],
)
def test_strings_of_indexes(text: Any, total: int, complaint: str) -> None:
    """Ascending numbers and ranges below the number of completions."""
    result = read_indexes(text, 5)
    assert result[0] == total
    assert complaint in result[1] if complaint else result[1] == ""


PARSING = "error parsing completedIndexes"
OVERLAP = "failedIndexes and completedIndexes overlap at index: 1"


@pytest.mark.parametrize(
    ("spec", "status", "field", "text"),
    [
        (
            {},
            {"completedIndexes": "0,1-foo"},
            "completedIndexes",
            f'Invalid value: "0,1-foo": {PARSING}: cannot convert string to integer for index: '
            '"foo"',
        ),
        ({}, {"completedIndexes": "3,1"}, "completedIndexes", "non-increasing order"),
        ({}, {"completedIndexes": "5"}, "completedIndexes", 'too large index: "5"'),
        ({}, {"completedIndexes": "9" * 5000}, "completedIndexes", "cannot convert string"),
        ({}, {"failedIndexes": "1"}, "failedIndexes", "when backoffLimitPerIndex is null"),
        (
            {"completionMode": "NonIndexed"},
            {"completedIndexes": "1"},
            "completedIndexes",
            "cannot set non-empty completedIndexes when non-indexed completion mode",
        ),
        (
            {"backoffLimitPerIndex": 1},
            {"failedIndexes": "x"},
            "failedIndexes",
            "error parsing failedIndexes",
        ),
        (
            {"backoffLimitPerIndex": 1},
            {"completedIndexes": "0-2", "failedIndexes": "1,3"},
            "failedIndexes",
            OVERLAP,
        ),
        ({}, {"failed": 1}, "failed", "Invalid value: 1: cannot decrease the failed counter"),
        ({}, {"failed": 2, "succeeded": 0}, "succeeded", "cannot decrease the succeeded counter"),
        (
            {},
            {"failed": 2, "succeeded": 1, "conditions": []},
            "conditions",
            "Invalid value: cannot disable the terminal FailureTarget=True condition",
        ),
    ],
)
def test_a_job_status_that_is_refused(
    api: KubeAPI, spec: dict[str, Any], status: dict[str, Any], field: str, text: str
) -> None:
    """Index lists are parsed where they change; counters and verdicts only go forward."""
    created = api.create(job(**spec))
    ends = [{"type": "FailureTarget", "status": "True"}]
    before = {"failed": 2, "succeeded": 1, "conditions": ends}
    api.update_status({**created, "metadata": {"name": "j"}, "status": before})
    new = {**before, **status}
    with pytest.raises(Invalid) as refused:
        api.update_status({**created, "metadata": {"name": "j"}, "status": new})
    causes = {cause.field: cause.message for cause in refused.value.causes}
    assert text in causes[f"status.{field}"]


def test_an_old_index_list_does_not_stop_a_status_update(api: KubeAPI) -> None:
    """Only what changes is checked: a Job that was scaled down keeps its longer list."""
    created = api.create(job(parallelism=5))
    status = {"completedIndexes": "0,4", "succeeded": 2}
    api.update_status({**created, "metadata": {"name": "j"}, "status": status})
    api.patch("Job", "j", {"spec": {"completions": 3, "parallelism": 3}}, "default")
    api.update_status({**created, "metadata": {"name": "j"}, "status": {**status, "active": 1}})
    shorter = {"completedIndexes": "0", "succeeded": 1}
    written = api.update_status({**created, "metadata": {"name": "j"}, "status": shorter})
    assert written["status"]["succeeded"] == 1
