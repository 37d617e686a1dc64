"""Manifests: YAML in and out, and what `kubectl apply`, `diff` and `delete -f` do with it.

A manifest is a path (a file, or a folder of files), a string with one or more documents, a
dictionary or several; `List` kinds are split into their items. YAML is parsed as by Go: a date or
``12:30`` stays a string, and a duplicate key is an error. YAML needs PyYAML, which is in the extra
``k8s``; dictionaries and JSON need nothing.

>>> read('{"kind": "List", "items": [{"kind": "Pod"}, {"kind": "Node"}]}')
[{'kind': 'Pod'}, {'kind': 'Node'}]

Source: k8s.io/kubectl/pkg/cmd/{apply,diff,delete}, k8s.io/cli-runtime/pkg/resource (builder.go),
sigs.k8s.io/yaml, k8s.io/apimachinery/pkg/util/yaml/decoder.go (LineReader).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from kubesim import yamltext
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.options import STRICT
from kubesim.apiserver.patch.threeway import annotated, last_applied, merging, strategic
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.verbs.versions import in_version
from kubesim.errors import BadRequest, NotFound, StatusError
from kubesim.objects.frozen import Document, ReadOnlyDocument, thaw
from kubesim.objects.meta import name_of, namespace_of
from kubesim.objects.wellknown import DEFAULT_NAMESPACE, LAST_APPLIED
from kubesim.table import Table

Manifest = str | Path | ReadOnlyDocument | Iterable[ReadOnlyDocument]
MANAGER = "kubectl-client-side-apply"
ENDINGS = (".yaml", ".yml", ".json")


class ApplyOptions(TypedDict, total=False):
    """Options of `apply`."""

    namespace: str | None
    dry_run: bool


class DeleteOptions(TypedDict, total=False):
    """Options of `delete`."""

    namespace: str | None
    ignore_not_found: bool


# -- reading and writing ---------------------------------------------------------------------------


def read(manifest: Manifest) -> list[Document]:
    """Read the objects of a manifest, in order.

    Raises:
        BadRequest: the manifest cannot be parsed; the message says where.
        ImportError: the manifest is YAML, and PyYAML is not installed.
    """
    if isinstance(manifest, Path) or (isinstance(manifest, str) and _is_path(manifest)):
        return _read_path(Path(manifest))
    if isinstance(manifest, str):
        return _objects_of(_parse(manifest))
    return _objects_of([manifest] if isinstance(manifest, Mapping) else manifest)


def to_yaml(documents: ReadOnlyDocument | Iterable[ReadOnlyDocument]) -> str:
    """Write objects as YAML, which Kubernetes reads back as the same objects.

    Raises:
        ImportError: PyYAML is not installed.
    """
    listed = [documents] if isinstance(documents, Mapping) else documents
    return yamltext.render(thaw(document) for document in listed)


def _is_path(text: str) -> bool:
    if "\n" in text or text.lstrip().startswith(("{", "[")):
        return False
    return text.endswith(ENDINGS) or Path(text).exists()


def _read_path(path: Path) -> list[Document]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in ENDINGS)
        return [document for file in files for document in _read_path(file)]
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRequest(f'the path "{path}" does not exist') from error
    try:
        return _objects_of(_parse(text))
    except BadRequest as error:
        raise BadRequest(f"{path}: {error.message}", hint=error.hint) from error


def _parse(text: str) -> Sequence[object]:
    if text.lstrip().startswith("{"):
        try:
            return [json.loads(text)]
        except ValueError:
            pass  # a YAML document may begin with a brace, too
    # kubectl ends each line: a block text keeps its newline in a file that ends without one.
    return yamltext.parse(text if text.endswith("\n") else f"{text}\n")


def _objects_of(documents: Iterable[object]) -> list[Document]:
    objects: list[Document] = []
    for document in documents:
        if document is None:
            continue  # nothing between two separators
        if not isinstance(document, Mapping):
            message = f"a manifest is an object, not {type(document).__name__}"
            raise BadRequest(message, hint="write, for example, kind: Pod")
        if str(document.get("kind", "")).endswith("List") and isinstance(
            document.get("items"), list
        ):
            objects += _objects_of(document["items"])
        else:
            objects.append(thaw(dict(document)))
    return objects


# -- apply, diff, delete ---------------------------------------------------------------------------


def apply(
    api: KubeAPI, manifest: Manifest, *, namespace: str | None = None, dry_run: bool = False
) -> Table:
    """Create the objects that do not exist, and change those that differ: `kubectl apply -f`.

    An annotation keeps what was applied before. Fields that the manifest no longer has are removed.
    Fields that others wrote (for example an autoscaler the replicas) stay, unless the manifest sets
    them. An object with fields that its kind does not have is refused, as `kubectl` does.

    Args:
        api: the API server.
        manifest: a path, YAML or JSON as a string, a dictionary or several.
        namespace: for objects without a namespace.
        dry_run: do everything except storing the result.

    Returns:
        A table of the objects and what was done: created, configured or unchanged.

    Raises:
        StatusError: an object was refused; the others are applied nevertheless, as by kubectl.
    """
    rows: list[tuple[str, str]] = []
    errors: list[StatusError] = []
    for document in read(manifest):
        try:
            rows.append(_apply_one(api, document, namespace, dry_run))
        except StatusError as error:
            errors.append(error)
    _raise_first(errors, rows)
    return Table(("object", "result"), rows)


def diff(api: KubeAPI, manifest: Manifest, *, namespace: str | None = None) -> Table:
    """Return what `apply` would change, field by field: `kubectl diff`. Changes nothing.

    Args:
        api: the API server.
        manifest: YAML or JSON text, a path, or documents.
        namespace: of objects that name none; None: `default`.

    Returns:
        A table of object, field, and its value now and after; empty if nothing would change.
    """
    rows: list[tuple[str, str, object, object]] = []
    for document in read(manifest):
        kind, configuration, live = _resolve(api, document, namespace)
        if live is None:
            then = api.create(annotated(configuration), dry_run=True)
        else:
            then = _patched(api, kind, configuration, live, dry_run=True) or live
        for field, before, after in _differences(live or {}, then, ""):
            rows.append((_shown(kind, configuration), field, before, after))
    return Table(("object", "field", "now", "then"), rows)


def delete(
    api: KubeAPI,
    manifest: Manifest,
    *,
    namespace: str | None = None,
    ignore_not_found: bool = False,
) -> Table:
    """Delete the objects of a manifest: `kubectl delete -f`.

    Args:
        api: the API server.
        manifest: YAML or JSON text, a path, or documents.
        namespace: of objects that name none; None: `default`.
        ignore_not_found: an object that does not exist is not an error.

    Raises:
        NotFound: an object does not exist; the others are deleted nevertheless.
    """
    rows: list[tuple[str, str]] = []
    errors: list[StatusError] = []
    for document in read(manifest):
        kind, configuration, _ = _resolve(api, document, namespace)
        try:
            api.delete(
                kind.qualified_kind, name_of(configuration), namespace_of(configuration) or None
            )
            rows.append((_shown(kind, configuration), "deleted"))
        except NotFound as error:
            if not ignore_not_found:
                errors.append(error)
    _raise_first(errors, rows)
    return Table(("object", "result"), rows)


def _apply_one(
    api: KubeAPI, document: Document, namespace: str | None, dry_run: bool
) -> tuple[str, str]:
    kind, configuration, live = _resolve(api, document, namespace)
    if live is None:
        created = api.create(
            annotated(configuration),
            dry_run=dry_run,
            field_manager=MANAGER,
            field_validation=STRICT,
        )
        return _shown(kind, created), "created"
    changed = _patched(api, kind, configuration, live, dry_run=dry_run)
    # A list to which the server added defaults is in each patch, and changes nothing.
    same = changed is None or _differences(live, changed, "") == []
    return _shown(kind, configuration), "unchanged" if same else "configured"


def _resolve(
    api: KubeAPI, document: Document, namespace: str | None
) -> tuple[Kind, Document, Document | None]:
    """Return the kind, the object with its namespace, and the stored object or None."""
    kind = api.kind_of(document)
    configuration: Document = thaw(document)
    if configuration.get("metadata") is None:
        configuration["metadata"] = {}
    metadata = configuration["metadata"]
    name = metadata.get("name")
    if name and not isinstance(name, str):
        raise BadRequest(f"metadata.name must be a string, not {name!r}")
    if not name:
        generated = "generateName" in metadata
        message = "cannot use generate name with apply" if generated else ""
        raise BadRequest(message or "resource name may not be empty", hint="set metadata.name")
    if kind.namespaced:
        own = metadata.get("namespace")
        if own and namespace and own != namespace:
            raise BadRequest(
                f'the namespace from the provided object "{own}" does not match the namespace '
                f'"{namespace}"'
            )
        metadata["namespace"] = own or namespace or DEFAULT_NAMESPACE
    live = api.peek(kind.qualified_kind, metadata["name"], metadata.get("namespace"))
    if live is not None:
        live = in_version(kind, live, str(configuration.get("apiVersion") or kind.api_version))
    return kind, configuration, live


def _patched(
    api: KubeAPI, kind: Kind, configuration: Document, live: Document, *, dry_run: bool
) -> Document | None:
    """Apply a three-way patch; return the patched object, or None if the patch is empty."""
    build, patch_type = (strategic, "strategic") if kind.schema is None else (merging, "merge")
    sent: Document = thaw(configuration)
    for field in ("resourceVersion", "uid", "creationTimestamp", "managedFields"):
        sent["metadata"].pop(field, None)
    sent.pop("status", None)
    patch = build(last_applied(live), annotated(sent), live)
    if not patch:
        return None
    return api.patch(
        kind.qualified_kind,
        name_of(configuration),
        patch,
        namespace_of(configuration) or None,
        patch_type=patch_type,
        dry_run=dry_run,
        api_version=live["apiVersion"],
        field_manager=MANAGER,
        field_validation=STRICT,
    )


def _shown(kind: Kind, document: Document) -> str:
    """Return an object as kubectl names it: ``pod/web``, ``deployment.apps/web``."""
    group = f".{kind.group}" if kind.group else ""
    return f"{kind.singular}{group}/{name_of(document)}"


def _differences(before: object, after: object, path: str) -> list[tuple[str, object, object]]:
    """Return (path, before, after) of each leaf that differs, without counters of writes."""
    if path in ("metadata.resourceVersion", "metadata.generation", "metadata.managedFields"):
        return []
    if path == f"metadata.annotations.{LAST_APPLIED}":
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        rows: list[tuple[str, object, object]] = []
        for name in [*before, *(name for name in after if name not in before)]:
            step = f"{path}.{name}" if path else name
            rows += _differences(before.get(name), after.get(name), step)
        return rows
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            row
            for index, (old, new) in enumerate(zip(before, after, strict=True))
            for row in _differences(old, new, f"{path}[{index}]")
        ]
    return [] if before == after else [(path, before, after)]


def _raise_first(errors: list[StatusError], rows: list[tuple[str, str]]) -> None:
    if not errors:
        return
    for error in errors[1:]:
        errors[0].add_note(f"and: {error.message}")
    if rows:
        done = ", ".join(f"{name} {what}" for name, what in rows)
        errors[0].add_note(f"the other objects were applied: {done}")
    raise errors[0]
