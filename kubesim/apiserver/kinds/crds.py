"""CustomResourceDefinition: custom kinds, registered while the cluster runs.

Once a definition is stored, its kind has all verbs, the defaults and validation of its schema, its
status and scale subresources, short names, categories and printer columns. When the definition is
deleted, its objects are deleted, too; those with finalizers hold it. In Kubernetes several
controllers of the apiextensions server do that a moment later; in kubesim it is part of the write,
and the conditions are set at once.

Left out: conversion webhooks (versions differ in name only) and CEL rules.

Source: k8s.io/apiextensions-apiserver: pkg/apis/apiextensions/v1/defaults.go, .../validation,
pkg/controller/{status,establish,finalizer}, pkg/apiserver/customresource_handler.go.
"""

from __future__ import annotations

from kubesim.apiserver.kindrules.definitions import (
    DNS_1035_RULE,
    valid_dns1035_label,
    validate_columns,
    validate_definition_names,
    validate_definition_options,
    validate_deprecation,
    validate_status_root,
    validate_stored_versions,
    validate_subresources,
)
from kubesim.apiserver.kindrules.fieldpaths import validate_selectable_fields
from kubesim.apiserver.kindrules.openapischemas import check_openapi, warn_of_rules
from kubesim.apiserver.kindrules.servedversions import (
    deprecation_of,
    is_terminating,
    main_version,
    refuse_creation,
    scale_paths_of,
    schema_of,
    selectable_fields_of,
    shapes_of,
    version_of,
)
from kubesim.apiserver.kindrules.structuralschemas import check_structure
from kubesim.apiserver.kinds.rules import same_spec_fields, validate_immutable
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.schema.custom import (
    check_schema,
    check_shape,
    fill_defaults,
)
from kubesim.apiserver.validation import SUBDOMAIN_RULE, FieldErrors, fill
from kubesim.errors import AlreadyExists
from kubesim.objects.frozen import Document
from kubesim.objects.meta import (
    name_of,
    set_condition,
    valid_dns1123_subdomain,
)

GROUP = "apiextensions.k8s.io"
SCOPES = ("Cluster", "Namespaced")
ONE_STORAGE = "must have exactly one version marked as storage version"


# -- the definition itself -------------------------------------------------------------------------


def default_definition(definition: Document) -> None:
    """Derive missing names from the kind; default to no conversion."""
    fill(definition, "spec", {})
    spec = definition["spec"]
    if not isinstance(spec, dict):
        return
    fill(spec, "conversion", {"strategy": "None"})
    fill(spec, "names", {})
    names = spec["names"]
    if isinstance(names, dict) and isinstance(names.get("kind"), str):
        fill(names, "singular", names["kind"].lower())
        fill(names, "listKind", f"{names['kind']}List")


def admit_definition(server: ServerView, definition: Document, old: Document | None) -> None:
    """Check the names, and set the status with the conditions of a served definition.

    Args:
        server: knows the other kinds and the time.
        definition: the definition; its status is set.
        old: the stored definition; None at creation.

    Raises:
        AlreadyExists: another kind has that name.
    """
    spec = definition["spec"]
    if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict):
        return
    _check_free(server, definition, str(spec["names"].get("kind")))
    status = dict((old or {}).get("status") or {})
    conditions = status.get("conditions") or ()
    now = server.clock.timestamp()
    for type_, reason, message in (
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ):
        conditions = set_condition(
            conditions, type_, "True", now=now, reason=reason, message=message
        )
    versions = spec.get("versions")
    stored = [
        str(version.get("name"))
        for version in (versions if isinstance(versions, list) else ())
        if isinstance(version, dict) and version.get("storage")
    ]
    before = [name for name in status.get("storedVersions") or () if name not in stored]
    definition["status"] = {
        **status,
        "acceptedNames": spec["names"],
        "conditions": conditions,
        "storedVersions": [*before, *stored],
    }


def _check_free(server: ServerView, definition: Document, kind: str) -> None:
    """Refuse a definition whose kind or plural its group has already."""
    spec = definition["spec"]
    names = (kind, spec["names"].get("plural"))
    for other in server.registry.kinds():
        if other.group != spec.get("group") or (
            other.custom and other.resource == name_of(definition)
        ):
            continue
        if other.kind == names[0] or other.plural == names[1]:
            raise AlreadyExists(
                f'the group "{other.group}" has a kind called "{other.kind}" already',
                hint="a kind is unique within its group; choose another name or group",
                kind=DEFINITION.plural,
                group=GROUP,
                name=name_of(definition),
            )


def validate_definition(definition: Document, errors: FieldErrors) -> None:
    """Validate group, names, scope and versions: exactly one is stored, each has a schema."""
    spec = errors.mapping("spec", definition.get("spec"))
    group, names = spec.get("group"), errors.mapping("spec.names", spec.get("names"))
    if not group:
        errors.required("spec.group")
    elif not valid_dns1123_subdomain(group):
        errors.invalid("spec.group", group, SUBDOMAIN_RULE)
    elif "." not in str(group):
        errors.invalid("spec.group", group, "should be a domain with at least one dot")
    validate_definition_names(names, errors)
    expected_name = f"{names.get('plural')}.{group}"
    if group and names.get("plural") and name_of(definition) != expected_name:
        rule = 'must be spec.names.plural+"."+spec.group'
        errors.invalid("metadata.name", name_of(definition), rule)
    if not spec.get("scope"):
        errors.required("spec.scope")
    else:
        errors.one_of("spec.scope", spec["scope"], SCOPES)
    validate_definition_options(definition, errors)
    versions = errors.items("spec.versions", spec.get("versions"))
    if sum(version.get("storage") is True for _, version in versions) != 1:
        errors.invalid("spec.versions", spec.get("versions"), ONE_STORAGE)
    names_of_versions = [version.get("name") for _, version in versions]
    if len(set(map(str, names_of_versions))) < len(names_of_versions):
        rule = "must contain unique version names"
        errors.invalid("spec.versions", spec.get("versions"), rule)
    validate_stored_versions(definition, errors)
    for path, version in versions:
        _validate_version(version, path, errors)


def _validate_version(version: Document, path: str, errors: FieldErrors) -> None:
    name = version.get("name") or ""
    if not valid_dns1035_label(name):
        errors.invalid(f"{path}.name", name, DNS_1035_RULE)
    validate_deprecation(version, path, errors)
    schema = errors.mapping(f"{path}.schema", version.get("schema")).get("openAPIV3Schema")
    inside = f"{path}.schema.openAPIV3Schema"
    before = len(errors.causes)
    if schema is None:
        errors.required(inside, "schemas are required")
    else:
        check_schema(schema, inside, errors)
    if isinstance(schema, dict) and len(errors.causes) == before:
        if (version.get("subresources") or {}).get("status") is not None:
            validate_status_root(schema, inside, errors)
        check_openapi(schema, inside, errors)
        check_structure(schema, inside, errors)
        validate_selectable_fields(version, schema, path, errors)
    validate_columns(version, path, errors)
    validate_subresources(version, path, errors)


def validate_definition_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of group, scope, kind and plural.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    same_spec_fields(new, old, ("group", "scope"), errors)
    names = (new.get("spec") or {}).get("names") or {}
    previous = (old.get("spec") or {}).get("names") or {}
    for field in ("kind", "plural"):
        validate_immutable(names.get(field), previous.get(field), f"spec.names.{field}", errors)


# -- the defined kind ------------------------------------------------------------------------------


def kind_of_definition(definition: Document) -> Kind:
    """Return the kind that a valid definition defines."""
    spec = definition["spec"]
    names = spec["names"]
    stored = main_version(spec["versions"])
    schema = schema_of(stored)
    parts = stored.get("subresources") or {}
    others = [version for version in spec["versions"] if version is not stored]

    shape, status_shape = shapes_of(schema)

    def default(document: Document) -> None:
        fill_defaults(schema, document)

    def validate(document: Document, errors: FieldErrors) -> None:
        checked = {name: item for name, item in document.items() if name != "metadata"}
        if "status" in parts:
            checked.pop("status", None)
        check_shape(shape, checked, "", errors)

    def validate_status(document: Document, errors: FieldErrors) -> None:
        if status_shape is not None:
            check_shape(status_shape, document.get("status"), "status", errors)

    return Kind(
        names["kind"],
        names["plural"],
        group=spec["group"],
        version=stored["name"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(map(str, names.get("shortNames") or ())),
        singular=names.get("singular") or "",
        categories=tuple(map(str, names.get("categories") or ())),
        default=default,
        validate=validate,
        status="status" in parts,
        validate_status=validate_status,
        scale="scale" in parts,
        scale_paths=scale_paths_of(parts.get("scale") or {}),
        admit=refuse_creation if is_terminating(definition) else None,
        selectable_fields=selectable_fields_of(stored),
        custom=True,
        schema=schema,
        columns=tuple(stored.get("additionalPrinterColumns") or ()),
        counted_field="",
        deprecation=deprecation_of(stored, spec),
        versions=tuple(version_of(version, spec) for version in others if version.get("served")),
    )


DEFINITION = Kind(
    "CustomResourceDefinition",
    "customresourcedefinitions",
    group=GROUP,
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    default=default_definition,
    admit=admit_definition,
    validate=validate_definition,
    validate_update=validate_definition_update,
    warn=warn_of_rules,
    status=False,  # the server sets it, with every write of the definition
)
KINDS = (DEFINITION,)
