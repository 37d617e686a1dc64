"""The scale subresource: the size of a workload, for whoever knows nothing else of its kind.

Source: pkg/registry/apps/statefulset/storage (ScaleREST),
apiextensions-apiserver/pkg/registry/customresource (scale of custom kinds).
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.fieldmanager.verbs import Bookkeeping
from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.strict import Asked
from kubesim.apiserver.watching import at_revision, view_of
from kubesim.errors import Invalid, MethodNotAllowed
from kubesim.objects.frozen import Document, freeze
from kubesim.objects.selectors import selector_from
from kubesim.objects.wellknown import DEFAULT_NAMESPACE


class ScaleVerbs(Bookkeeping):
    """get_scale and update_scale."""

    def get_scale(self, kind: str, name: str, namespace: str | None = None) -> Document:
        """The size of a workload: spec.replicas, status.replicas and status.selector.

        Raises:
            NotFound: no such object.
            MethodNotAllowed: the kind has no scale.
        """
        found = self._scalable(kind)
        kv = self.store.get(found.key(namespace or DEFAULT_NAMESPACE, name))
        if kv is None:
            raise self.not_found(found, name, namespace)
        return _scale_of(found, view_of(kv))

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
        """Write the size of a workload and nothing else of it; returns the new scale.

        Raises:
            Invalid: a negative number, or none.
            Conflict: `resource_version` is not the current one.
            NotFound, MethodNotAllowed: as for `get_scale`.
        """
        found = self._scalable(kind)
        _check_replicas(name, replicas)
        key = found.key(namespace or DEFAULT_NAMESPACE, name)
        while True:
            kv = self.store.get(key)
            if kv is None:
                raise self.not_found(found, name, namespace)
            if str(resource_version or "0") not in ("0", str(kv.mod_revision)):
                raise self.conflict(found, name)
            old = kv.value
            if value_at(old, found.scale_paths.replicas) == replicas:
                return _scale_of(found, view_of(kv))
            generation = old["metadata"].get("generation", 0) + 1
            new = put_at(old, found.scale_paths.replicas, replicas)
            new["metadata"] = {**old["metadata"], "generation": generation}
            asked: Asked = {"field_manager": field_manager}
            self._book(found, old, new, asked, "scale")
            if dry_run:
                return _scale_of(found, at_revision(new, kv.mod_revision))
            done = self._commit([(key, kv.mod_revision)], [(key, freeze(new))], before=old)
            if done.succeeded:
                return _scale_of(found, at_revision(new, done.revision))

    def _scalable(self, kind: str) -> Kind:
        found = self.registry.find(kind)
        if not found.scale:
            raise MethodNotAllowed(f"{found.resource} have no scale")
        return found


def value_at(document: Any, path: str) -> Any:
    """What stands at a path of fields; None if a part of it is missing.

    >>> value_at({"spec": {"size": {"wanted": 3}}}, "spec.size.wanted")
    3
    """
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def put_at(document: Document, path: str, value: Any) -> Document:
    """A copy of the document with another value at a path; the rest is shared."""
    name, _, rest = path.partition(".")
    inner = document.get(name)
    below = put_at(inner if isinstance(inner, dict) else {}, rest, value) if rest else value
    return {**document, name: below}


def _check_replicas(name: str, replicas: Any) -> None:
    errors = FieldErrors()
    if not errors.whole_number("spec.replicas", replicas):
        cause = errors.causes[0]
        said = f'Scale.autoscaling "{name}" is invalid: {cause.field}: {cause.message}'
        raise Invalid(said, kind="Scale", group="autoscaling", name=name, causes=[cause])


def _scale_of(kind: Kind, workload: Document) -> Document:
    metadata, paths = workload["metadata"], kind.scale_paths
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    wanted, there = value_at(workload, paths.replicas), value_at(workload, paths.status_replicas)
    selector = value_at(workload, paths.selector) if paths.selector else None
    text = selector if isinstance(selector, str) else str(selector_from(selector))
    status: Document = {"replicas": there or 0}
    if paths.selector:
        status["selector"] = text
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in kept if field in metadata},
        "spec": {"replicas": (0 if kind.custom else 1) if wanted is None else wanted},
        "status": status,
    }
