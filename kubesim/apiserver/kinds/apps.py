"""Group apps: ReplicaSet, Deployment, DaemonSet, StatefulSet, ControllerRevision. And Lease.

Source: pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation/validation.go,
pkg/registry/apps/{replicaset,deployment,daemonset,statefulset}/strategy.go,
pkg/apis/coordination/validation.
"""

from __future__ import annotations

from kubesim.apiserver.kinds.rules import (
    IMMUTABLE,
    default_template,
    same_spec_fields,
    validate_int_or_percent,
    validate_long_running,
    validate_numbers,
    validate_revision,
    validate_share,
    validate_workload,
)
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.intstr import number_in, parse_int
from kubesim.objects.wellknown import TEMPLATE_GENERATION

REVISION_HISTORY_LIMIT = 10
ROLLING = "25%"  # maxSurge and maxUnavailable of a Deployment
PROGRESS_DEADLINE_SECONDS = 600
DAEMONSET_COUNTS = (  # of a status that are always written
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
)
STATUS_COUNTS = (  # that must not be negative
    "observedGeneration",
    "replicas",
    "fullyLabeledReplicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "currentReplicas",
    "terminatingReplicas",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)
MUTABLE_FIELDS = (  # of a StatefulSet's spec
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def _spec_of(workload: Document) -> Document | None:
    """Set the defaults of the pod template and return the spec; None if it is not an object."""
    fill(workload, "spec", {})
    spec = workload["spec"]
    if not isinstance(spec, dict):
        return None
    default_template(spec)
    return spec


# -- ReplicaSet ------------------------------------------------------------------------------------


def default_replicaset(replicaset: Document) -> None:
    """Default to one replica and to the labels of the template."""
    if (spec := _spec_of(replicaset)) is None:
        return
    fill(spec, "replicas", 1)
    template, metadata = spec["template"], replicaset["metadata"]
    if isinstance(template, dict) and isinstance(template.get("metadata"), dict):
        labels = template["metadata"].get("labels")
        if isinstance(labels, dict) and labels:
            fill(metadata, "labels", dict(labels))


def validate_replicaset(replicaset: Document, errors: FieldErrors) -> None:
    """Validate numbers, selector and template of a ReplicaSet."""
    spec = errors.mapping("spec", replicaset.get("spec"))
    validate_numbers(spec, "spec", ("replicas", "minReadySeconds"), errors)
    # The message about an empty selector says "deployment" in the real server, too.
    validate_workload(spec, "deployment", errors)
    validate_long_running(spec, "ReplicaSet", errors)


def validate_selector_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the selector.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    same_spec_fields(new, old, ("selector",), errors)


# -- Deployment ------------------------------------------------------------------------------------


def default_deployment(deployment: Document) -> None:
    """Default to one replica, a rolling update by 25 %, and ten old ReplicaSets."""
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
    """Validate numbers, strategy, selector and template of a Deployment."""
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
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    valid = validate_share(f"{path}.maxUnavailable", unavailable, errors)
    valid &= validate_int_or_percent(f"{path}.maxSurge", surge, errors)
    if valid and number_in(unavailable) == 0 and number_in(surge) == 0:
        errors.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")


# -- DaemonSet -------------------------------------------------------------------------------------


def default_daemonset(daemonset: Document) -> None:
    """Default to a rolling update of one pod at a time, and ten old revisions."""
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


def admit_daemonset(api: ServerView, daemonset: Document, old: Document | None) -> None:
    """Count the changes of the template in an annotation that only the server writes.

    Args:
        api: not used.
        daemonset: the DaemonSet; it is changed in place.
        old: the stored one; None at creation.
    """
    metadata, spec = daemonset["metadata"], daemonset.get("spec")
    fill(metadata, "annotations", {})
    annotations = metadata["annotations"]
    if not isinstance(annotations, dict) or not isinstance(spec, dict):
        return
    if old is None:
        fill(annotations, TEMPLATE_GENERATION, "1")
        return
    before = parse_int(meta.annotations_of(old).get(TEMPLATE_GENERATION, "1"))
    changed = spec.get("template") != old["spec"].get("template")
    annotations[TEMPLATE_GENERATION] = "1" if before is None else str(before + changed)


def validate_daemonset(daemonset: Document, errors: FieldErrors) -> None:
    """Validate numbers, selector, template and update strategy of a DaemonSet."""
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
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        valid = validate_share(f"{path}.maxUnavailable", unavailable, errors)
        valid &= validate_share(f"{path}.maxSurge", surge, errors)
        if valid and number_in(unavailable) and number_in(surge):
            rule = "may not be set when maxUnavailable is non-zero"
            errors.invalid(f"{path}.maxSurge", surge, rule)
        elif valid and not number_in(unavailable) and not number_in(surge):
            errors.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


# -- StatefulSet -----------------------------------------------------------------------------------


def default_statefulset(statefulset: Document) -> None:
    """Default to one replica, OrderedReady, RollingUpdate from partition 0, ten revisions."""
    if (spec := _spec_of(statefulset)) is None:
        return
    fill(spec, "replicas", 1)
    fill(spec, "podManagementPolicy", "OrderedReady")
    fill(spec, "updateStrategy", {})
    strategy = spec["updateStrategy"]
    if isinstance(strategy, dict):
        fill(strategy, "type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(strategy, "rollingUpdate", {})
            if isinstance(strategy["rollingUpdate"], dict):
                fill(strategy["rollingUpdate"], "partition", 0)
    fill(spec, "revisionHistoryLimit", REVISION_HISTORY_LIMIT)


def validate_statefulset(statefulset: Document, errors: FieldErrors) -> None:
    """Validate policy, update strategy, numbers, selector and template of a StatefulSet."""
    spec = errors.mapping("spec", statefulset.get("spec"))
    errors.whole_number("spec.replicas", spec.get("replicas"))
    policy = spec.get("podManagementPolicy")
    if policy not in ("OrderedReady", "Parallel"):
        rule = "must be 'OrderedReady' or 'Parallel'"
        errors.invalid("spec.podManagementPolicy", policy, rule)
    strategy = errors.mapping("spec.updateStrategy", spec.get("updateStrategy"))
    if strategy.get("type") not in ("RollingUpdate", "OnDelete"):
        rule = "must be 'RollingUpdate' or 'OnDelete'"
        errors.invalid("spec.updateStrategy", strategy.get("type"), rule)
    path = "spec.updateStrategy.rollingUpdate"
    rolling = errors.mapping(path, strategy.get("rollingUpdate"))
    validate_numbers(rolling, path, ("partition",), errors)
    if strategy.get("type") == "OnDelete" and strategy.get("rollingUpdate") is not None:
        errors.invalid(path, rolling, "only allowed for updateStrategy 'RollingUpdate'")
    validate_numbers(spec, "spec", ("minReadySeconds", "revisionHistoryLimit"), errors)
    path = "spec.persistentVolumeClaimRetentionPolicy"
    retention = errors.mapping(path, spec.get("persistentVolumeClaimRetentionPolicy"))
    validate_numbers(spec.get("ordinals") or {}, "spec.ordinals", ("start",), errors)
    for field in ("whenDeleted", "whenScaled"):
        if retention.get(field) is not None:
            errors.one_of(f"{path}.{field}", retention[field], ("Retain", "Delete"))
    validate_workload(spec, "statefulset", errors)
    validate_long_running(spec, "StatefulSet", errors)


def validate_statefulset_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of selector, serviceName, podManagementPolicy and claim templates.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    before = {k: v for k, v in (old.get("spec") or {}).items() if k not in MUTABLE_FIELDS}
    after = {k: v for k, v in (new.get("spec") or {}).items() if k not in MUTABLE_FIELDS}
    if before != after:
        errors.forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
            "'minReadySeconds' are forbidden",
        )


# -- status ----------------------------------------------------------------------------------------


def validate_counts(workload: Document, errors: FieldErrors) -> None:
    """Validate that no number in a status is negative."""
    status = errors.mapping("status", workload.get("status"))
    validate_numbers(status, "status", (*STATUS_COUNTS, *DAEMONSET_COUNTS), errors)


# -- ControllerRevision and Lease ------------------------------------------------------------------


def default_revision(revision: Document) -> None:
    """Default to revision 0, which is always written."""
    fill(revision, "revision", 0)


def validate_revision_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of a ControllerRevision's data; only its number may change.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    if new.get("data") != old.get("data"):
        errors.invalid("data", "...", IMMUTABLE)


def validate_lease(lease: Document, errors: FieldErrors) -> None:
    """Validate the numbers of a Lease: its duration must be positive."""
    spec = errors.mapping("spec", lease.get("spec"))
    for field, least in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
        if spec.get(field) is not None:
            rule = "must be greater than 0" if least else ""
            errors.whole_number(f"spec.{field}", spec[field], least, rule=rule)


KINDS = (
    Kind(
        "StatefulSet",
        "statefulsets",
        group="apps",
        short_names=("sts",),
        categories=("all",),
        default=default_statefulset,
        validate=validate_statefulset,
        validate_status=validate_counts,
        validate_update=validate_statefulset_update,
        zero_status={"replicas": 0, "availableReplicas": 0},
        scale=True,
    ),
    Kind(
        "ControllerRevision",
        "controllerrevisions",
        group="apps",
        default=default_revision,
        validate=validate_revision,
        validate_update=validate_revision_update,
        status=False,
    ),
    Kind(
        "Lease",
        "leases",
        group="coordination.k8s.io",
        validate=validate_lease,
        status=False,
        counts_generation=False,
    ),
    Kind(
        "ReplicaSet",
        "replicasets",
        group="apps",
        short_names=("rs",),
        categories=("all",),
        default=default_replicaset,
        validate=validate_replicaset,
        validate_status=validate_counts,
        validate_update=validate_selector_update,
        zero_status={"replicas": 0},
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
        validate_status=validate_counts,
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
        validate_status=validate_counts,
        validate_update=validate_selector_update,
        zero_status=dict.fromkeys(DAEMONSET_COUNTS, 0),
    ),
)
