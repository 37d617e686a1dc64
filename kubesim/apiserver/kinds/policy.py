"""Group policy: PodDisruptionBudget.

Source: pkg/apis/policy/validation/validation.go, pkg/registry/policy/poddisruptionbudget.
"""

from __future__ import annotations

from kubesim.apiserver.kinds.rules import validate_numbers, validate_share
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document

UNHEALTHY_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def default_budget(budget: Document) -> None:
    """Set an empty spec: such a budget protects no pod."""
    fill(budget, "spec", {})


def validate_budget(budget: Document, errors: FieldErrors) -> None:
    """Validate a budget: minAvailable or maxUnavailable, selector, eviction policy."""
    spec = errors.mapping("spec", budget.get("spec"))
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        errors.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if spec.get(field) is not None:
            validate_share(f"spec.{field}", spec[field], errors)
    if spec.get("selector") is not None:
        validate_selector(spec["selector"], "spec.selector", errors)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None:
        errors.one_of("spec.unhealthyPodEvictionPolicy", policy, UNHEALTHY_POLICIES)


def validate_budget_status(budget: Document, errors: FieldErrors) -> None:
    """Validate that the counts are not negative."""
    status = errors.mapping("status", budget.get("status"))
    validate_numbers(status, "status", COUNTS, errors)


KINDS = (
    Kind(
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        group="policy",
        short_names=("pdb",),
        default=default_budget,
        validate=validate_budget,
        validate_status=validate_budget_status,
        zero_status=dict.fromkeys(COUNTS, 0),
    ),
)
