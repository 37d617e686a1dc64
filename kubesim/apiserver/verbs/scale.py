"""The scale subresource: the size of a workload, for clients that know nothing else of its kind.

Source: pkg/registry/apps/statefulset/storage (ScaleREST),
apiextensions-apiserver/pkg/registry/customresource (scale of custom kinds).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kubesim.apiserver.core import Core, at_revision, view_of
from kubesim.apiserver.fieldmanager.manager import FieldManager
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors
from kubesim.errors import Invalid, MethodNotAllowed
from kubesim.objects.frozen import Document, freeze
from kubesim.objects.selectors import selector_from
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.store import KeyValue

if TYPE_CHECKING:
    from kubesim.objects.types import LabelSelectorDict

KEPT_SELECTORS = 4096
SHOWN_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


class ScaleSubresource:
    """get_scale and update_scale.

    Args:
        core: of the server.
        fields: keeps managedFields.
    """

    def __init__(self, core: Core, fields: FieldManager) -> None:
        self._core = core
        self._fields = fields
        # By key: a selector, and its string.
        self._selectors: dict[str, tuple[object, str]] = {}

    def get_scale(self, kind: str, name: str, namespace: str | None = None) -> Document:
        """Return the size of a workload: spec.replicas, status.replicas and status.selector.

        Args:
            kind: any name of the kind.
            name: of the workload.
            namespace: None: ``default``.

        Raises:
            NotFound: there is no such object.
            MethodNotAllowed: the kind has no scale subresource.
        """
        resource = self._scalable(kind)
        kv = self._stored(resource, name, namespace)
        return self._scale_of(resource, kv.key, kv.view or view_of(kv))

    def update_scale(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        replicas: int,
        resource_version: str | int | None = None,
        dry_run: bool = False,
        field_manager: str = "",
    ) -> Document:
        """Write the size of a workload and nothing else of it; return the new scale.

        Args:
            kind: any name of the kind.
            name: of the workload.
            namespace: None: ``default``.
            replicas: the desired number of pods.
            resource_version: write only the object with this; None or "0": any.
            dry_run: check everything, and store nothing.
            field_manager: the client's name for managedFields.

        Raises:
            Invalid: replicas is not a whole number from 0.
            Conflict: `resource_version` is not the current one.
            NotFound, MethodNotAllowed: as for `get_scale`.
        """
        core, resource = self._core, self._scalable(kind)
        _check_replicas(name, replicas)
        path = resource.scale_paths.replicas
        while True:
            kv = self._stored(resource, name, namespace)
            core.check_preconditions(resource, kv, None, resource_version)
            old = kv.value
            if value_at(old, path) == replicas:
                return self._scale_of(resource, kv.key, view_of(kv))
            new = put_at(old, path, replicas)
            generation = old["metadata"].get("generation", 0) + 1
            new["metadata"] = {**old["metadata"], "generation": generation}
            if "managedFields" in old["metadata"]:
                self._fields.updated(resource, old, new, field_manager, "scale")
            if dry_run:
                return self._scale_of(resource, kv.key, at_revision(new, kv.mod_revision))
            put = [(kv.key, freeze(new))]
            result = core.commit([(kv.key, kv.mod_revision)], put, before=old)
            if result.succeeded:
                return self._scale_of(resource, kv.key, at_revision(new, result.revision))

    def _scalable(self, kind: str) -> Kind:
        registry = self._core.registry
        resource = registry.by_kind.get(kind) or registry.find(kind)
        if not resource.scale:
            raise MethodNotAllowed(f"{resource.resource} have no scale")
        return resource

    def _stored(self, kind: Kind, name: str, namespace: str | None) -> KeyValue:
        kv = self._core.store.get(kind.key(namespace or DEFAULT_NAMESPACE, name))
        if kv is None:
            raise self._core.not_found(kind, name, namespace)
        return kv

    def _scale_of(self, kind: Kind, key: str, workload: Document) -> Document:
        """Return the Scale of a workload that is stored under a key."""
        metadata, paths = workload["metadata"], kind.scale_paths
        desired = value_at(workload, paths.replicas)
        status: Document = {"replicas": value_at(workload, paths.status_replicas) or 0}
        if paths.selector:
            selector = value_at(workload, paths.selector)
            if paths.is_map:
                selector = {"matchLabels": selector}
            status["selector"] = (
                selector if isinstance(selector, str) else self._selector_string(key, selector)
            )
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {field: metadata[field] for field in SHOWN_METADATA if field in metadata},
            "spec": {"replicas": (0 if kind.custom else 1) if desired is None else desired},
            "status": status,
        }

    def _selector_string(self, key: str, selector: object) -> str:
        """Return a selector as a string, which is kept: workloads hardly ever change theirs."""
        cached, string = self._selectors.get(key, (None, ""))
        if cached is not selector or selector is None:
            parsed = cast("LabelSelectorDict", selector) if isinstance(selector, dict) else None
            string = str(selector_from(parsed))
            if len(self._selectors) >= KEPT_SELECTORS:
                self._selectors.clear()
            self._selectors[key] = (selector, string)
        return string


def value_at(document: object, path: str) -> object:
    """Return the value at a path of fields; None if a part of the path is missing.

    >>> value_at({"spec": {"size": {"wanted": 3}}}, "spec.size.wanted")
    3
    """
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def put_at(document: Document, path: str, value: object) -> Document:
    """Return a copy of a document with another value at a path; the rest is shared.

    Args:
        document: it is not changed.
        path: of fields, for example ``spec.replicas``.
        value: the new value.
    """
    name, _, rest = path.partition(".")
    inner = document.get(name)
    below = put_at(inner if isinstance(inner, dict) else {}, rest, value) if rest else value
    return {**document, name: below}


def _check_replicas(name: str, replicas: object) -> None:
    if type(replicas) is int and 0 <= replicas < 2**31:
        return
    errors = FieldErrors()
    errors.whole_number("spec.replicas", replicas)
    cause = errors.causes[0]
    message = f'Scale.autoscaling "{name}" is invalid: {cause.field}: {cause.message}'
    raise Invalid(message, kind="Scale", group="autoscaling", name=name, causes=[cause])
