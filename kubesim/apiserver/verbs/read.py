"""The verbs that read: get, list, watch; and reads without copies, for components.

Source: k8s.io/apiserver/pkg/endpoints/handlers (get.go), pkg/storage/etcd3/store.go.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable

from kubesim.apiserver.core import NOT_ALLOWED, Core, view_of
from kubesim.apiserver.options import EXACT, NOT_OLDER, ListOptions, parse_resource_version
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.verbs.versions import in_version
from kubesim.apiserver.watching import ResourceWatch, open_watch, too_large
from kubesim.errors import BadRequest, Compacted, Expired, FutureRevision, MethodNotAllowed
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.meta import labels_of, name_of, namespace_of
from kubesim.objects.selectors import (
    FieldSelector,
    Selector,
    parse_field_selector,
    parse_label_selector,
)
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.store import ListResult

Documents = list[Document]
METADATA_FIELDS = ("metadata.name", "metadata.namespace")
TOKEN_VERSION = "meta.k8s.io/v1"


class Reader:
    """Implements the verbs get, list and watch.

    Args:
        core: of the server.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- one object ------------------------------------------------------------------------------

    def get(self, kind: str, name: str, namespace: str | None = None) -> Document:
        """Return a copy of one object.

        Args:
            kind: any name of the kind: ``Pod``, ``pods``, ``po``.
            name: of the object.
            namespace: None: ``default``; ignored for cluster-scoped kinds.

        Raises:
            NotFound: there is no such object or kind.
        """
        resource = self._core.registry.find(kind)
        document = self._one(resource, name, namespace)
        if document is None:
            raise self._core.not_found(resource, name, namespace)
        return thaw(document)

    def peek(self, kind: str, name: str, namespace: str | None = None) -> Document | None:
        """Return one object without a copy: frozen, shared, or None.

        Args:
            kind, name, namespace: as for `get`.
        """
        registry = self._core.registry
        return self._one(registry.by_kind.get(kind) or registry.find(kind), name, namespace)

    def convert(self, document: Document, api_version: str) -> Document:
        """Convert a stored object to another version, for example ``autoscaling/v1``.

        Raises:
            BadRequest: its kind is not served in that version.
        """
        return in_version(
            self._core.registry.of_object(str(document.get("apiVersion")), str(document["kind"])),
            document,
            api_version,
        )

    def _one(self, kind: Kind, name: str, namespace: str | None) -> Document | None:
        """Return one object, shared, or None."""
        if kind.compute is not None:
            computed = self._compute(kind, namespace or DEFAULT_NAMESPACE)
            return next((document for document in computed if name_of(document) == name), None)
        kv = self._core.store.get(kind.key(namespace or DEFAULT_NAMESPACE, name))
        return None if kv is None else view_of(kv)

    # -- lists -----------------------------------------------------------------------------------

    def snapshot(
        self, kind: str, namespace: str | None = None, *, field_selector: str = ""
    ) -> tuple[Documents, int]:
        """Return all objects without copies (frozen, shared), and the revision of the snapshot.

        Args:
            kind: any name of the kind.
            namespace: None: all namespaces.
            field_selector: only these objects; one on an indexed field costs nothing for others.

        Raises:
            BadRequest: a malformed selector.
        """
        resource, store = self._core.registry.find(kind), self._core.store
        fields = _selectors(resource, "", field_selector)[1] if field_selector else None
        if resource.compute is not None:
            documents, revision = self._compute(resource, namespace), store.revision
        else:
            prefix = resource.prefix_of(namespace)
            where = _indexed_value(resource, prefix, fields) if fields is not None else None
            result = store.list(prefix, where=where)
            documents, revision = [view_of(kv) for kv in result.items], result.revision
        if fields is not None:
            documents = [document for document in documents if fields.matches(document)]
        return documents, revision

    def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str | int | None = None,
        resource_version_match: str = EXACT,
        limit: int | None = None,
        continue_token: str = "",
    ) -> Document:
        """Return the objects of a kind as a list document with copies.

        Args:
            kind: any name of the kind.
            namespace: None: all namespaces.
            label_selector, field_selector: see `ListOptions`.
            resource_version, resource_version_match: see `ListOptions`.
            limit, continue_token: see `ListOptions`. All pages of a list show one snapshot.

        Raises:
            BadRequest: a malformed selector, token or limit.
            Expired: that revision is no longer kept.
            Timeout: the store has not reached that revision.
        """
        options = ListOptions(
            label_selector,
            field_selector,
            resource_version,
            resource_version_match,
            limit,
            continue_token,
        )
        listed = self._list(self._core.registry.find(kind), namespace, options)
        return {**listed, "items": [thaw(document) for document in listed["items"]]}

    def list_shared(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str | int | None = None,
        resource_version_match: str = EXACT,
        limit: int | None = None,
        continue_token: str = "",
    ) -> Document:
        """Return a list without copies: its items are frozen and shared, one for each revision.

        Args:
            kind, namespace: as for `list`.
            label_selector, field_selector: see `ListOptions`.
            resource_version, resource_version_match, limit, continue_token: see `ListOptions`.

        Raises:
            BadRequest, Expired, Timeout: as for `list`.
        """
        options = ListOptions(
            label_selector,
            field_selector,
            resource_version,
            resource_version_match,
            limit,
            continue_token,
        )
        return self._list(self._core.registry.find(kind), namespace, options)

    def _list(self, kind: Kind, namespace: str | None, options: ListOptions) -> Document:
        labels, fields = _selectors(kind, options.label_selector, options.field_selector)
        revision, start_after = self._revision_of(kind, options), ""
        if options.continue_token:
            if revision:
                raise BadRequest("specifying resource version is not allowed when using continue")
            revision, start_after = _parse_token(options.continue_token)
        if kind.compute is not None:
            return self._computed_list(kind, namespace, labels, fields)
        prefix, limit = kind.prefix_of(namespace), options.limit
        result = self._read(kind, prefix, revision, start_after)
        items: Documents = []
        metadata: Document = {"resourceVersion": str(result.revision)}
        for index, kv in enumerate(result.items):
            document = view_of(kv)
            if labels.matches(labels_of(document)) and fields.matches(document):
                if limit and len(items) == limit:
                    last = result.items[index - 1].key.removeprefix(prefix)
                    metadata["continue"] = _make_token(result.revision, last)
                    if labels.empty and fields.empty:
                        metadata["remainingItemCount"] = len(result.items) - index
                    break
                items.append(document)
        return _list_document(kind, metadata, items)

    def _revision_of(self, kind: Kind, options: ListOptions) -> int:
        """Return the revision that a list shows; 0: now."""
        options.check()
        revision = parse_resource_version(options.resource_version)
        if options.resource_version_match == EXACT:
            return revision
        current = self._core.store.revision
        if revision > current:
            raise too_large(FutureRevision(revision, current), kind.resource)
        return 0

    def _read(self, kind: Kind, prefix: str, revision: int, start_after: str) -> ListResult:
        start = f"{prefix}{start_after}" if start_after else ""
        try:
            return self._core.store.list(prefix, revision or None, start_after=start)
        except Compacted as error:
            raise _expired(kind, bool(start_after)) from error
        except FutureRevision as error:
            raise too_large(error, kind.resource) from error

    def _compute(self, kind: Kind, namespace: str | None) -> Documents:
        """Return the objects of a computed kind: of one namespace, or of all."""
        assert kind.compute is not None
        everywhere = namespace is None or not kind.namespaced
        computed = kind.compute(self._core)
        return [d for d in computed if everywhere or namespace_of(d) == namespace]

    def _computed_list(
        self, kind: Kind, namespace: str | None, labels: Selector, fields: FieldSelector
    ) -> Document:
        """Return a list of a computed kind; always the present state, in one page."""
        items = [
            document
            for document in self._compute(kind, namespace)
            if labels.matches(labels_of(document)) and fields.matches(document)
        ]
        return _list_document(kind, {"resourceVersion": str(self._core.store.revision)}, items)

    # -- watches ---------------------------------------------------------------------------------

    def watch(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        resource_version: str | int | None = None,
        label_selector: str = "",
        field_selector: str = "",
        on_ready: Callable[[], None] | None = None,
    ) -> ResourceWatch:
        """Watch the objects of a kind.

        Args:
            kind: any name of the kind.
            namespace: None: all namespaces.
            resource_version: the watch begins after it. None: now. "0": each existing object is
                sent first, as ADDED; clients over HTTP that name no revision get this.
            label_selector, field_selector: which objects.
            on_ready: called on the writer's thread when an event arrives after a poll that
                returned none; it may only enqueue.

        Raises:
            Expired: that revision is no longer kept: list again.
            Timeout: the store has not reached that revision.
            BadRequest: a malformed selector or revision.
        """
        resource = self._core.registry.find(kind)
        if resource.compute is not None:
            hint = f"{resource.resource} can be read, not watched"
            raise MethodNotAllowed(NOT_ALLOWED, hint=hint)
        labels, fields = _selectors(resource, label_selector, field_selector)
        since = None if resource_version is None else parse_resource_version(resource_version)
        prefix = resource.prefix_of(namespace)
        initial: Documents = []
        if since == 0:
            initial, since = self.snapshot(kind, namespace)
        # A kubelet is notified only of the pods of its own node.
        trigger = _indexed_value(resource, prefix, fields)
        store = self._core.store
        watch = open_watch(store.watch, prefix, since, on_ready, resource.resource, trigger)
        return ResourceWatch(watch, labels, fields, resource, initial)

    def watch_list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        resource_version: str | int | None = None,
        label_selector: str = "",
        field_selector: str = "",
        on_ready: Callable[[], None] | None = None,
    ) -> ResourceWatch:
        """Watch with the existing objects first: `sendInitialEvents=true`.

        Each existing object is sent as ADDED, then a BOOKMARK that is annotated as the end of the
        initial events, then the changes. `ResourceWatch.bookmark` makes further bookmarks.

        Args:
            kind, namespace, label_selector, field_selector, on_ready: as for `watch`.
            resource_version: the initial state must not be older than this; None: any.

        Raises:
            Timeout: the store has not reached that revision.
            BadRequest: as for `watch`.
        """
        not_older = ListOptions(resource_version=resource_version, resource_version_match=NOT_OLDER)
        self._revision_of(self._core.registry.find(kind), not_older)
        watch = self.watch(
            kind,
            namespace,
            resource_version="0",
            label_selector=label_selector,
            field_selector=field_selector,
            on_ready=on_ready,
        )
        watch.mark_initial()
        return watch


def _indexed_value(kind: Kind, prefix: str, fields: FieldSelector) -> str | None:
    """Return the value of the kind's indexed field that a selector asks for; None: no index helps.

    Args:
        kind: the kind.
        prefix: of the keys that are read.
        fields: the selector.
    """
    return fields.value_of(kind.trigger_field) if prefix == kind.prefix else None


def _list_document(kind: Kind, metadata: Document, items: Documents) -> Document:
    return {
        "kind": f"{kind.kind}List",
        "apiVersion": kind.api_version,
        "metadata": metadata,
        "items": items,
    }


def _selectors(
    kind: Kind, label_selector: str, field_selector: str
) -> tuple[Selector, FieldSelector]:
    fields = parse_field_selector(field_selector)
    for path in fields.paths:
        if path not in METADATA_FIELDS and path not in kind.selectable_fields:
            supported = ", ".join([*METADATA_FIELDS, *kind.selectable_fields])
            message = f"field label not supported: {path}"
            if not (kind.custom or kind.selectable_fields):
                names = ", ".join(map(json.dumps, METADATA_FIELDS))
                message = f"{json.dumps(path)} is not a known field selector: only {names}"
            raise BadRequest(message, hint=f"supported: {supported}")
    return parse_label_selector(label_selector), fields


def _make_token(revision: int, last: str) -> str:
    """Encode the start of the next page: the same fields as upstream's, in the same encoding."""
    token = {"v": TOKEN_VERSION, "rv": revision, "start": f"{last}\0"}
    return urlsafe_b64encode(json.dumps(token, separators=(",", ":")).encode()).decode()


def _parse_token(token: str) -> tuple[int, str]:
    """Decode a token of `_make_token`: (revision, last key of the page before)."""
    try:
        match json.loads(urlsafe_b64decode(token.encode())):
            case {"v": version, "rv": int(revision), "start": str(start)}:
                if version == TOKEN_VERSION and 0 < revision < 1 << 63 and start.endswith("\0"):
                    return revision, start[:-1]
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"continue key is not valid: {error}") from error
    raise BadRequest("continue key is not valid: it was not made by this server")


def _expired(kind: Kind, paging: bool) -> Expired:
    if paging:
        message = (
            "The provided continue parameter is too old to display a consistent list result. You "
            "can start a new list without the continue parameter."
        )
    else:
        message = "The resourceVersion for the provided list is too old."
    return Expired(message, hint="start the list over", kind=kind.plural, group=kind.group)
