"""The rules of a CustomResourceDefinition: names, columns, subresources and conversion.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from kubesim.apiserver.kindrules.webhookclients import validate_webhook_client
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document, objects_in
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
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer of a definition that waits for the last of its objects."""
STRATEGIES = ("None", "Webhook")
REVIEW_VERSIONS = ("v1", "v1beta1")
MAX_WARNING = 256  # bytes
# JSON name -> upstream's name of what the root of a schema may say beside a status subresource.
ROOT_FIELDS = {
    "description": "Description",
    "type": "Type",
    "format": "Format",
    "title": "Title",
    "maximum": "Maximum",
    "exclusiveMaximum": "ExclusiveMaximum",
    "minimum": "Minimum",
    "exclusiveMinimum": "ExclusiveMinimum",
    "maxLength": "MaxLength",
    "minLength": "MinLength",
    "pattern": "Pattern",
    "maxItems": "MaxItems",
    "minItems": "MinItems",
    "uniqueItems": "UniqueItems",
    "multipleOf": "MultipleOf",
    "required": "Required",
    "items": "Items",
    "properties": "Properties",
    "externalDocs": "ExternalDocs",
    "example": "Example",
    "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields",
    "x-kubernetes-validations": "XValidations",
}
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
    _validate_conversion(spec.get("conversion") or {}, "spec.conversion", errors)
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


def _validate_conversion(conversion: Document, path: str, errors: FieldErrors) -> None:
    """Validate how versions are converted; the paths are those of the internal type."""
    strategy, webhook = conversion.get("strategy"), conversion.get("webhook") or {}
    client, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if not errors.one_of(f"{path}.strategy", strategy, STRATEGIES):
        return
    place, versions_place = f"{path}.webhookClientConfig", f"{path}.conversionReviewVersions"
    if strategy != "Webhook":
        rule = "should not be set when strategy is not set to Webhook"
        if client is not None:
            errors.forbidden(place, rule)
        if versions:
            errors.forbidden(versions_place, rule)
        return
    if client is None:
        errors.required(place, "required when strategy is set to Webhook")
    else:
        validate_webhook_client(client, place, errors)
    if not versions:
        errors.required(versions_place)
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.invalid(f"{versions_place}[{index}]", version, "duplicate version")
        elif not valid_dns1035_label(version):
            errors.invalid(f"{versions_place}[{index}]", version, DNS_1035_RULE)
    if not set(versions) & set(REVIEW_VERSIONS):
        rule = f"must include at least one of {', '.join(REVIEW_VERSIONS)}"
        errors.invalid(versions_place, versions, rule)


def validate_deprecation(version: Document, path: str, errors: FieldErrors) -> None:
    """Validate the warning of a deprecated version.

    Args:
        version: an item of spec.versions.
        path: its path.
        errors: collects the errors.
    """
    warning, place = version.get("deprecationWarning"), f"{path}.deprecationWarning"
    if warning is None:
        return
    if not version.get("deprecated"):
        errors.invalid(place, warning, "can only be set for deprecated versions")
        return
    if len(warning.encode()) > MAX_WARNING:
        errors.invalid(place, warning, f"must be <= {MAX_WARNING} characters long")
    if not warning:
        errors.invalid(place, warning, "must not be an empty string")
    for index, character in enumerate(warning):
        if not character.isprintable():
            at = len(warning[:index].encode())
            rule = (
                "must only contain printable UTF-8 characters; "
                f"non-printable character found at index {at}"
            )
            errors.invalid(place, warning, rule)
            break


def validate_status_root(schema: Document, path: str, errors: FieldErrors) -> None:
    """Validate that the root of a schema says nothing that its status would lose.

    Args:
        schema: of a version with a status subresource.
        path: its path.
        errors: collects the errors.
    """
    if schema.get("type") and schema["type"] != "object":
        rule = 'only "object" is allowed as the type at the root of the schema if the status'
        errors.invalid(f"{path}.type", schema["type"], f"{rule} subresource is enabled")
    elif any(value and name not in ROOT_FIELDS for name, value in schema.items()):
        names = " ".join(ROOT_FIELDS.values())
        rule = f"only [{names}] fields are allowed at the root of the schema if the status"
        errors.invalid(path, schema, f"{rule} subresource is enabled")


def validate_stored_versions(definition: Document, errors: FieldErrors) -> None:
    """Validate that no version goes of which objects may be stored."""
    spec, status = definition.get("spec") or {}, definition.get("status") or {}
    names = [version.get("name") for version in objects_in(spec.get("versions"))]
    for index, stored in enumerate(status.get("storedVersions") or ()):
        if stored not in names:
            rule = (
                f"missing from spec.versions; {stored} was previously a storage version, and must "
                "remain in spec.versions until a storage migration ensures no data remains "
                f"persisted in {stored} and removes {stored} from status.storedVersions"
            )
            errors.invalid(f"status.storedVersions[{index}]", stored, rule)


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
