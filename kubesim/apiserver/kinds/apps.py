"""The group apps: ReplicaSet, Deployment and DaemonSet.

Source: pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation/validation.go,
pkg/registry/apps/{replicaset,deployment,daemonset}/strategy.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver.apps import REVISION_HISTORY_LIMIT
from kubesim.apiserver.fields import FieldErrors, fill
from kubesim.apiserver.kinds.rules import (
    default_template,
    same_spec_fields,
    validate_int_or_percent,
    validate_long_running,
    validate_numbers,
    validate_share,
    validate_workload,
)
from kubesim.apiserver.registry import Kind
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.intstr import number_in
from kubesim.objects.wellknown import TEMPLATE_GENERATION

if TYPE_CHECKING:
    from kubesim.apiserver.base import Base

ROLLING = "25%"  # maxSurge and maxUnavailable of a Deployment
PROGRESS_DEADLINE_SECONDS = 600


def _spec_of(workload: Document) -> Document | None:
    """The spec with its template's defaults; None if it has no right shape."""
    fill(workload, "spec", {})
    spec = workload["spec"]
    if not isinstance(spec, dict):
        return None
    default_template(spec)
    return spec


# -- ReplicaSet ------------------------------------------------------------------------------------


def default_replicaset(replicaset: Document) -> None:
    """One replica; the labels of the template, if it has none of its own."""
    if (spec := _spec_of(replicaset)) is None:
        return
    fill(spec, "replicas", 1)
    template, metadata = spec["template"], replicaset["metadata"]
    if isinstance(template, dict) and isinstance(template.get("metadata"), dict):
        labels = template["metadata"].get("labels")
        if isinstance(labels, dict) and labels:
            fill(metadata, "labels", dict(labels))


def validate_replicaset(replicaset: Document, errors: FieldErrors) -> None:
    """The selector must select what the template makes."""
    spec = errors.mapping("spec", replicaset.get("spec"))
    validate_numbers(spec, "spec", ("replicas", "minReadySeconds"), errors)
    # The message about an empty selector says "deployment" in the real server, too.
    validate_workload(spec, "deployment", errors)
    validate_long_running(spec, "ReplicaSet", errors)


def validate_selector_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Another selector would be another workload."""
    same_spec_fields(new, old, ("selector",), errors)


# -- Deployment ------------------------------------------------------------------------------------


def default_deployment(deployment: Document) -> None:
    """One replica, a rolling update by a quarter, ten old ReplicaSets kept."""
    if (spec := _spec_of(deployment)) is None:
        return
    fill(spec, "replicas", 1)
    fill(spec, "strategy", {})
    strategy = spec["strategy"]
    if isinstance(strategy, dict):
        fill(strategy, "type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(strategy, "rollingUpdate", {})
            if isinstance(strategy["rollingUpdate"], dict):
                fill(strategy["rollingUpdate"], "maxUnavailable", ROLLING)
                fill(strategy["rollingUpdate"], "maxSurge", ROLLING)
    fill(spec, "revisionHistoryLimit", REVISION_HISTORY_LIMIT)
    fill(spec, "progressDeadlineSeconds", PROGRESS_DEADLINE_SECONDS)


def validate_deployment(deployment: Document, errors: FieldErrors) -> None:
    """Everything that would make a rollout stand still before it begins."""
    spec = errors.mapping("spec", deployment.get("spec"))
    numbers = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    before = len(errors.causes)
    validate_numbers(spec, "spec", numbers, errors)
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if len(errors.causes) == before and deadline is not None and deadline <= ready:
        rule = "must be greater than minReadySeconds"
        errors.invalid("spec.progressDeadlineSeconds", deadline, rule)
    _validate_strategy(errors.mapping("spec.strategy", spec.get("strategy")), errors)
    validate_workload(spec, "deployment", errors)
    validate_long_running(spec, "ReplicaSet", errors)


def _validate_strategy(strategy: Document, errors: FieldErrors) -> None:
    path = "spec.strategy.rollingUpdate"
    rolling = errors.mapping(path, strategy.get("rollingUpdate"))
    if strategy.get("type") == "Recreate":
        if strategy.get("rollingUpdate") is not None:
            rule = "may not be specified when strategy `type` is 'Recreate'"
            errors.forbidden(path, rule)
        return
    if strategy.get("type") != "RollingUpdate":
        supported = ("Recreate", "RollingUpdate")
        errors.not_supported("spec.strategy.type", strategy.get("type"), supported)
        return
    gone, more = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    fits = validate_share(f"{path}.maxUnavailable", gone, errors)
    fits &= validate_int_or_percent(f"{path}.maxSurge", more, errors)
    if fits and number_in(gone) == 0 and number_in(more) == 0:
        errors.invalid(f"{path}.maxUnavailable", gone, "may not be 0 when `maxSurge` is 0")


# -- DaemonSet -------------------------------------------------------------------------------------


def default_daemonset(daemonset: Document) -> None:
    """One pod at a time is replaced, ten old revisions are kept."""
    if (spec := _spec_of(daemonset)) is None:
        return
    fill(spec, "updateStrategy", {})
    strategy = spec["updateStrategy"]
    if isinstance(strategy, dict):
        fill(strategy, "type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(strategy, "rollingUpdate", {})
            if isinstance(strategy["rollingUpdate"], dict):
                fill(strategy["rollingUpdate"], "maxUnavailable", 1)
                fill(strategy["rollingUpdate"], "maxSurge", 0)
    fill(spec, "revisionHistoryLimit", REVISION_HISTORY_LIMIT)


def admit_daemonset(api: Base, daemonset: Document, old: Document | None) -> None:
    """Count the changes of the template, in an annotation that the server alone writes."""
    metadata, spec = daemonset["metadata"], daemonset.get("spec")
    fill(metadata, "annotations", {})
    notes = metadata["annotations"]
    if not isinstance(notes, dict) or not isinstance(spec, dict):
        return
    if old is None:
        fill(notes, TEMPLATE_GENERATION, "1")
        return
    before = meta.annotations_of(old).get(TEMPLATE_GENERATION, "1")
    changed = spec.get("template") != old["spec"].get("template")
    number = int(before) + changed if before.isascii() and before.isdigit() else 1
    notes[TEMPLATE_GENERATION] = str(number)


def validate_daemonset(daemonset: Document, errors: FieldErrors) -> None:
    """Selector, template, and an update that takes either surge or unavailability."""
    spec = errors.mapping("spec", daemonset.get("spec"))
    validate_numbers(spec, "spec", ("minReadySeconds", "revisionHistoryLimit"), errors)
    validate_workload(spec, "daemonset", errors)
    validate_long_running(spec, "DaemonSet", errors)
    strategy = errors.mapping("spec.updateStrategy", spec.get("updateStrategy"))
    if strategy.get("type") not in ("OnDelete", "RollingUpdate"):
        supported = ("OnDelete", "RollingUpdate")
        errors.not_supported("spec.updateStrategy.type", strategy.get("type"), supported)
    elif strategy["type"] == "RollingUpdate":
        path = "spec.updateStrategy.rollingUpdate"
        rolling = errors.mapping(path, strategy.get("rollingUpdate"))
        gone, more = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        fits = validate_share(f"{path}.maxUnavailable", gone, errors)
        fits &= validate_share(f"{path}.maxSurge", more, errors)
        if fits and number_in(gone) and number_in(more):
            rule = "may not be set when maxUnavailable is non-zero"
            errors.invalid(f"{path}.maxSurge", more, rule)
        elif fits and not number_in(gone) and not number_in(more):
            errors.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


KINDS = (
    Kind(
        "ReplicaSet",
        "replicasets",
        group="apps",
        short_names=("rs",),
        categories=("all",),
        default=default_replicaset,
        validate=validate_replicaset,
        validate_update=validate_selector_update,
        scale=True,
        selectable_fields=("status.replicas",),
    ),
    Kind(
        "Deployment",
        "deployments",
        group="apps",
        short_names=("deploy",),
        categories=("all",),
        default=default_deployment,
        validate=validate_deployment,
        validate_update=validate_selector_update,
        scale=True,
    ),
    Kind(
        "DaemonSet",
        "daemonsets",
        group="apps",
        short_names=("ds",),
        categories=("all",),
        default=default_daemonset,
        admit=admit_daemonset,
        validate=validate_daemonset,
        validate_update=validate_selector_update,
    ),
)
