"""Label selectors, and the lists of label keys beside them.

Source: k8s.io/apimachinery/pkg/apis/meta/v1/validation (ValidateLabelSelector),
pkg/apis/core/validation/validation.go (validateMatchLabelKeysAndMismatchLabelKeys).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from kubesim.apiserver.podvalidation.formats import validate_label_name
from kubesim.apiserver.validation import (
    MUST_BE_STRING,
    FieldErrors,
    label_key_error,
    label_value_error,
    validate_labels,
)
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import Selector, selector_from

if TYPE_CHECKING:
    from kubesim.objects.types import LabelSelectorDict

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
VALUES_REQUIRED = "must be specified when `operator` is 'In' or 'NotIn'"
NO_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
NO_SELECTOR = "must not be specified when labelSelector is not set"
IN_BOTH = "exists in both matchLabelKeys and labelSelector"


def validate_selector(selector: object, path: str, errors: FieldErrors) -> Selector | None:
    """Validate a LabelSelector.

    Args:
        selector: the LabelSelector.
        path: its path.
        errors: collects the errors.

    Returns:
        The parsed selector; None after an error.
    """
    before = len(errors.causes)
    document = errors.mapping(path, selector)
    if document.get("matchLabels") is not None:
        validate_labels(document["matchLabels"], f"{path}.matchLabels", errors)
    expressions = document.get("matchExpressions")
    for item, expression in errors.items(f"{path}.matchExpressions", expressions):
        _validate_expression(expression, item, errors)
    if len(errors.causes) > before:
        return None
    try:
        return selector_from(cast("LabelSelectorDict", document))
    except (BadRequest, KeyError, TypeError, AttributeError) as error:
        errors.invalid(path, selector, f"invalid label selector: {error}")
        return None


def _validate_expression(expression: Document, path: str, errors: FieldErrors) -> None:
    operator, values = expression.get("operator"), expression.get("values")
    if not expression.get("key") or not isinstance(expression["key"], str):
        errors.required(f"{path}.key")
    elif message := label_key_error(expression["key"]):
        errors.invalid(f"{path}.key", expression["key"], message)
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if not isinstance(value, str):
            errors.invalid(f"{path}.values[{index}]", value, MUST_BE_STRING)
        elif message := label_value_error(value):
            errors.invalid(f"{path}.values[{index}]", value, message)
    if values is not None and not isinstance(values, list):
        errors.invalid(f"{path}.values", values, "must be a list")
    elif operator in ("In", "NotIn") and not values:
        errors.required(f"{path}.values", VALUES_REQUIRED)
    elif operator in ("Exists", "DoesNotExist") and values:
        errors.forbidden(f"{path}.values", NO_VALUES)
    if operator not in OPERATORS:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")


# -- keys beside a selector ------------------------------------------------------------------------


def keys_in(selector: LabelSelectorDict) -> list[str]:
    """Return the keys of a selector's labels and expressions."""
    expressions = selector.get("matchExpressions") or ()
    return [*(selector.get("matchLabels") or ()), *(e.get("key") or "" for e in expressions)]


def validate_affinity_keys(
    match: Sequence[str],
    mismatch: Sequence[str],
    selector: LabelSelectorDict | None,
    path: str,
    errors: FieldErrors,
) -> None:
    """Validate matchLabelKeys and mismatchLabelKeys of a term of pod affinity.

    Args:
        match, mismatch: the keys.
        selector: of the term.
        path: of the term.
        errors: collects the errors.
    """
    for field, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            errors.forbidden(f"{path}.{field}", NO_SELECTOR)
            continue
        for index, key in enumerate(keys):
            validate_label_name(f"{path}.{field}[{index}]", key, errors)
    # The server adds the keys to the selector: one that was there before is there twice then.
    selected = list((selector or {}).get("matchLabels") or ())
    for expression in (selector or {}).get("matchExpressions") or ():
        key = expression.get("key") or ""
        if key in match and key in selected:
            errors.invalid(f"{path}[{match.index(key)}]", key, IN_BOTH)
        selected.append(key)
    for index, key in enumerate(match):
        if key in mismatch:
            rule = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.invalid(f"{path}.matchLabelKeys[{index}]", key, rule)


def validate_spread_keys(
    keys: Sequence[str], selector: LabelSelectorDict | None, path: str, errors: FieldErrors
) -> None:
    """Validate matchLabelKeys of a topology spread constraint.

    Args:
        keys: the keys.
        selector: of the constraint.
        path: path of the keys.
        errors: collects the errors.
    """
    if keys and selector is None:
        errors.forbidden(path, NO_SELECTOR)
    selected = keys_in(selector) if selector is not None else []
    for index, key in enumerate(keys):
        validate_label_name(f"{path}[{index}]", key, errors)
        if key in selected:
            errors.invalid(f"{path}[{index}]", key, IN_BOTH)
