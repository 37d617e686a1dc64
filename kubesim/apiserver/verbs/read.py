"""The verbs that read: get, list, watch; and what components read without copies.

Source: k8s.io/apiserver/pkg/endpoints/handlers (get.go), pkg/storage/etcd3/store.go.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable

from kubesim.apiserver.base import NOT_ALLOWED, Base
from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.verbs.versions import in_version
from kubesim.apiserver.watching import ResourceWatch, open_watch, too_large, view_of
from kubesim.errors import BadRequest, Compacted, Expired, FutureRevision, Invalid, MethodNotAllowed
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.meta import labels_of, name_of, namespace_of
from kubesim.objects.selectors import (
    FieldSelector,
    Selector,
    parse_field_selector,
    parse_label_selector,
)
from kubesim.objects.wellknown import META_GROUP
from kubesim.store import ListResult

Documents = list[Document]
METADATA_FIELDS = ("metadata.name", "metadata.namespace")
EXACT, NOT_OLDER = "Exact", "NotOlderThan"
MATCHES = (EXACT, NOT_OLDER)
TOKEN_VERSION = "meta.k8s.io/v1"


class ReadVerbs(Base):
    """get, list and watch."""

    def get(self, kind: str, name: str, namespace: str | None = None) -> Document:
        """One object, as a copy of your own.

        Args:
            kind: any name of the kind: ``Pod``, ``pods``, ``po``.
            name: of the object.
            namespace: None is ``default``; without meaning for cluster-scoped kinds.

        Raises:
            NotFound: no such object or kind.
        """
        found = self.registry.find(kind)
        document = self._one(found, name, namespace)
        if document is None:
            raise self.not_found(found, name, namespace)
        return thaw(document)

    def peek(self, kind: str, name: str, namespace: str | None = None) -> Document | None:
        """One object without a copy: frozen, shared; None if there is none. For components."""
        return self._one(self.registry.find(kind), name, namespace)

    def convert(self, document: Document, api_version: str) -> Document:
        """A stored object as clients of another version see it, for example ``autoscaling/v1``.

        Raises:
            BadRequest: its kind is not served in that version.
        """
        return in_version(self.registry.find(str(document["kind"])), document, api_version)

    def snapshot(self, kind: str, namespace: str | None = None) -> tuple[Documents, int]:
        """All objects without copies (frozen, shared), and the revision of the snapshot."""
        found = self.registry.find(kind)
        if found.compute is not None:
            return self._made(found, namespace), self.store.revision
        result = self.store.list(found.prefix_of(namespace))
        return [view_of(kv) for kv in result.items], result.revision

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
        """The objects of a kind as a list document with copies of your own.

        Args:
            kind: any name of the kind.
            namespace: None: of all namespaces.
            label_selector: for example ``app=web,tier in (front,back)``.
            field_selector: for example ``status.phase=Running``.
            resource_version: as of this revision; None or "0": now.
            resource_version_match: "Exact", or "NotOlderThan": now, if now is late enough.
            limit: at most so many; metadata.continue then asks for the rest.
            continue_token: metadata.continue of the page before. All pages show one snapshot.

        Raises:
            BadRequest: a selector, token or limit that makes no sense.
            Expired: that revision is no longer kept.
            Timeout: the store has not reached that revision.
        """
        listed = self.list_shared(
            kind,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            resource_version=resource_version,
            resource_version_match=resource_version_match,
            limit=limit,
            continue_token=continue_token,
        )
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
        """`list` without copies: its items are frozen and shared, one document for each revision.

        For whoever only reads, for example to encode them. Arguments and errors are those of
        `list`.
        """
        found = self.registry.find(kind)
        labels, fields = self._selectors(found, label_selector, field_selector)
        if limit is not None and limit < 0:
            raise BadRequest(f"limit must be 0 or more, not {limit}")
        revision, start_after = self._as_of(found, resource_version, resource_version_match), ""
        if continue_token:
            if revision:
                raise BadRequest("specifying resource version is not allowed when using continue")
            revision, start_after = _parse_token(continue_token)
        if found.compute is not None:
            return self._computed(found, namespace, labels, fields)
        prefix = found.prefix_of(namespace)
        result = self._list(found, prefix, revision, start_after)
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
        return {
            "kind": f"{found.kind}List",
            "apiVersion": found.api_version,
            "metadata": metadata,
            "items": items,
        }

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
        """The changes of a kind after a revision.

        None: from now on. "0": first each present object as ADDED, then the changes; that is what
        a client over HTTP gets that names no revision.

        `on_ready` is called on the writer's thread when something arrives after a poll that found
        nothing; it may only enqueue.

        Raises:
            Expired: that revision is no longer kept: list again.
            Timeout: the store has not reached that revision.
            BadRequest: a selector or revision that makes no sense.
        """
        found = self.registry.find(kind)
        if found.compute is not None:
            raise MethodNotAllowed(NOT_ALLOWED, hint=f"{found.resource} can be read, not watched")
        labels, fields = self._selectors(found, label_selector, field_selector)
        since = None if resource_version is None else _revision_number(resource_version)
        prefix = found.prefix_of(namespace)
        initial: Documents = []
        if since == 0:
            initial, since = self.snapshot(kind, namespace)
        # A kubelet is woken by the pods of its own node, and not by those of all the others.
        trigger = fields.value_of(found.trigger_field) if prefix == found.prefix else None
        watch = open_watch(self.store.watch, prefix, since, on_ready, found.resource, trigger)
        return ResourceWatch(watch, labels, fields, found, initial)

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
        """A list and the watch after it in one stream: `sendInitialEvents=true`.

        First each present object as ADDED, then a BOOKMARK that is annotated as the end of what was
        there, then the changes. `ResourceWatch.bookmark` makes further bookmarks.

        Args:
            resource_version: what is there must not be older than this; None: no matter.
            kind, namespace, label_selector, field_selector, on_ready: as for `watch`.

        Raises:
            Timeout: the store has not reached that revision.
            BadRequest: as for `watch`.
        """
        self._as_of(self.registry.find(kind), resource_version, NOT_OLDER)
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

    def _as_of(self, kind: Kind, version: str | int | None, match: str) -> int:
        """The revision that a list shows; 0: now."""
        revision = _revision_number(version)
        if match not in MATCHES:
            errors = FieldErrors()
            errors.not_supported("resourceVersionMatch", match, ("", *MATCHES))
            said = f'ListOptions.meta.k8s.io "" is invalid: {errors.causes[0].message}'
            raise Invalid(said, kind="ListOptions", group=META_GROUP, causes=errors.causes)
        if match == EXACT:
            return revision
        if revision > self.store.revision:
            raise too_large(FutureRevision(revision, self.store.revision), kind.resource)
        return 0

    def _one(self, kind: Kind, name: str, namespace: str | None) -> Document | None:
        """One object, shared; None if there is none."""
        if kind.compute is not None:
            made = self._made(kind, namespace or "default")
            return next((document for document in made if name_of(document) == name), None)
        kv = self.store.get(kind.key(namespace or "default", name))
        return None if kv is None else view_of(kv)

    def _made(self, kind: Kind, namespace: str | None) -> Documents:
        """What is made on reading: of one namespace, or of all."""
        assert kind.compute is not None
        everywhere = namespace is None or not kind.namespaced
        return [d for d in kind.compute(self) if everywhere or namespace_of(d) == namespace]

    def _computed(
        self, kind: Kind, namespace: str | None, labels: Selector, fields: FieldSelector
    ) -> Document:
        """A list of what is made on reading; always as of now, in one page."""
        items = [
            document
            for document in self._made(kind, namespace)
            if labels.matches(labels_of(document)) and fields.matches(document)
        ]
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": {"resourceVersion": str(self.store.revision)},
            "items": items,
        }

    def _list(self, kind: Kind, prefix: str, revision: int, start_after: str) -> ListResult:
        start = f"{prefix}{start_after}" if start_after else ""
        try:
            return self.store.list(prefix, revision or None, start_after=start)
        except Compacted as error:
            raise _expired(kind, bool(start_after)) from error
        except FutureRevision as error:
            raise too_large(error, kind.resource) from error

    def _selectors(
        self, kind: Kind, label_selector: str, field_selector: str
    ) -> tuple[Selector, FieldSelector]:
        fields = parse_field_selector(field_selector)
        for path in fields.paths:
            if path not in METADATA_FIELDS and path not in kind.selectable_fields:
                known = ", ".join([*METADATA_FIELDS, *kind.selectable_fields])
                raise BadRequest(f"field label not supported: {path}", hint=f"supported: {known}")
        return parse_label_selector(label_selector), fields


def _revision_number(value: str | int | None) -> int:
    """A resourceVersion from a client; "" and None count as 0."""
    if value is None or value == "":
        return 0
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(f"resourceVersion: Invalid value: {text[:40]!r}: must be a whole number")
    return int(text)


def _make_token(revision: int, last: str) -> str:
    """Where the next page goes on; the same fields as upstream's, in the same wrapping."""
    token = {"v": TOKEN_VERSION, "rv": revision, "start": f"{last}\0"}
    return urlsafe_b64encode(json.dumps(token, separators=(",", ":")).encode()).decode()


def _parse_token(token: str) -> tuple[int, str]:
    """(revision, last key of the page before) of a token that `_make_token` made."""
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
        said = (
            "The provided continue parameter is too old to display a consistent list result. You "
            "can start a new list without the continue parameter."
        )
    else:
        said = "The resourceVersion for the provided list is too old."
    return Expired(said, hint="start the list over", kind=kind.plural, group=kind.group)
