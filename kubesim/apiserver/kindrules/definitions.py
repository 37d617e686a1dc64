"""The rules of a CustomResourceDefinition: names, columns, subresources and conversion.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document
from kubesim.objects.meta import annotations_of, valid_dns1123_label

DNS_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
MIXED_CASE = f"may have mixed case, but should otherwise match: {DNS_1035_RULE}"
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
SIMPLE_PATH = "must be a simple json path starting with ."
STRATEGIES = ("None", "Webhook")
APPROVAL = "api-approved.kubernetes.io"
PROTECTED = ("k8s.io", "kubernetes.io")
NO_PRESERVING = (
    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
    "spec.versions[*].schema instead"
)


def valid_dns1035_label(name: object) -> bool:
    """Return whether a name is a DNS label that starts with a letter."""
    return valid_dns1123_label(name) and str(name)[0].isalpha()


def validate_definition_names(names: Document, errors: FieldErrors) -> None:
    """Validate spec.names (ValidateCustomResourceDefinitionNames)."""
    for field in ("plural", "singular", "kind", "listKind"):
        value = str(names.get(field) or "")
        is_kind = field in ("kind", "listKind")
        if not value:
            errors.required(f"spec.names.{field}")
        elif not valid_dns1035_label(value.lower() if is_kind else value):
            rule = MIXED_CASE if is_kind else DNS_1035_RULE
            errors.invalid(f"spec.names.{field}", value, rule)
    if names.get("kind") and names["kind"] == names.get("listKind"):
        rule = "kind and listKind may not be the same"
        errors.invalid("spec.names.listKind", names["listKind"], rule)
    for field in ("shortNames", "categories"):
        for index, value in enumerate(names.get(field) or ()):
            if not valid_dns1035_label(value):
                errors.invalid(f"spec.names.{field}[{index}]", value, DNS_1035_RULE)


def validate_definition_options(definition: Document, errors: FieldErrors) -> None:
    """Validate conversion, pruning, and the approval that groups of Kubernetes need."""
    spec: Document = definition.get("spec") or {}
    conversion = spec.get("conversion") or {}
    strategy = conversion.get("strategy")
    if errors.one_of("spec.conversion.strategy", strategy, STRATEGIES) and strategy == "Webhook":
        webhook = conversion.get("webhook") or {}
        if not webhook.get("clientConfig"):
            rule = "required when strategy is set to Webhook"
            errors.required("spec.conversion.webhookClientConfig", rule)
        if not webhook.get("conversionReviewVersions"):
            errors.required("spec.conversion.conversionReviewVersions")
    if spec.get("preserveUnknownFields") is True:
        errors.invalid("spec.preserveUnknownFields", True, NO_PRESERVING)
    group = str(spec.get("group") or "")
    is_protected = any(group == name or group.endswith(f".{name}") for name in PROTECTED)
    if is_protected and not annotations_of(definition).get(APPROVAL):
        rule = (
            f'protected groups must have approval annotation "{APPROVAL}", see '
            "https://github.com/kubernetes/enhancements/pull/1111"
        )
        errors.required(f"metadata.annotations[{APPROVAL}]", rule)


def validate_columns(version: Document, path: str, errors: FieldErrors) -> None:
    """Validate the additional printer columns of a version.

    Args:
        version: an item of spec.versions.
        path: its path.
        errors: collects the errors.
    """
    place = f"{path}.additionalPrinterColumns"
    for item, column in errors.items(place, version.get("additionalPrinterColumns")):
        rule = f"must be one of {','.join(COLUMN_TYPES)}"
        if not column.get("name"):
            errors.required(f"{item}.name")
        if not column.get("type"):
            errors.required(f"{item}.type", rule)
        elif column["type"] not in COLUMN_TYPES:
            errors.invalid(f"{item}.type", column["type"], rule)
        if column.get("format") and column["format"] not in COLUMN_FORMATS:
            formats = f"must be one of {','.join(COLUMN_FORMATS)}"
            errors.invalid(f"{item}.format", column["format"], formats)
        if not column.get("jsonPath"):
            errors.required(f"{item}.JSONPath")
        elif not column["jsonPath"].startswith("."):
            errors.invalid(f"{item}.JSONPath", column["jsonPath"], SIMPLE_PATH)


def validate_subresources(version: Document, path: str, errors: FieldErrors) -> None:
    """Validate the paths of the scale subresource of a version.

    Args:
        version: an item of spec.versions.
        path: its path.
        errors: collects the errors.
    """
    scale: Document | None = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return
    for field, parents, rule in (
        ("specReplicasPath", (".spec.",), "under .spec"),
        ("statusReplicasPath", (".status.",), "under .status"),
        ("labelSelectorPath", (".status.", ".spec."), "under either .spec or .status"),
    ):
        value, place = scale.get(field), f"{path}.subresources.scale.{field}"
        if not value:
            if field != "labelSelectorPath":
                errors.required(place)
        elif not value.startswith("."):
            errors.invalid(place, value, SIMPLE_PATH)
        elif not value.startswith(parents):
            errors.invalid(place, value, f"should be a json path {rule}")
