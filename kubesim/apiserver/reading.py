"""The verbs that read: get, list, watch; and what components read without copies.

Source: k8s.io/apiserver/pkg/endpoints/handlers (get.go), pkg/storage/etcd3/store.go.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from kubesim.apiserver.base import Base
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.watching import ResourceWatch, open_watch, view_of
from kubesim.errors import BadRequest, Compacted, Expired, FutureRevision, TooManyRequests
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.meta import labels_of
from kubesim.objects.selectors import (
    FieldSelector,
    Selector,
    parse_field_selector,
    parse_label_selector,
)

Documents = list[Document]
METADATA_FIELDS = ("metadata.name", "metadata.namespace")


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
        kv = self.store.get(found.key(namespace or "default", name))
        if kv is None:
            raise self.not_found(found, name)
        return thaw(view_of(kv))  # type: ignore[no-any-return]

    def peek(self, kind: str, name: str, namespace: str | None = None) -> Document | None:
        """One object without a copy: frozen, shared; None if there is none. For components."""
        found = self.registry.find(kind)
        kv = self.store.get(found.key(namespace or "default", name))
        return None if kv is None else view_of(kv)

    def snapshot(self, kind: str, namespace: str | None = None) -> tuple[Documents, int]:
        """All objects without copies (frozen, shared), and the revision of the snapshot."""
        found = self.registry.find(kind)
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
            limit: at most so many; metadata.continue then asks for the rest.
            continue_token: metadata.continue of the page before. All pages show one snapshot.

        Raises:
            BadRequest: a selector, token or limit that makes no sense.
            Expired: that revision is no longer kept.
        """
        found = self.registry.find(kind)
        labels, fields = self._selectors(found, label_selector, field_selector)
        if limit is not None and limit < 0:
            raise BadRequest(f"limit must be 0 or more, not {limit}")
        revision, start_after = _revision_number(resource_version), ""
        if continue_token:
            revision, start_after = _parse_token(continue_token)
        prefix = found.prefix_of(namespace)
        try:
            result = self.store.list(prefix, revision or None, start_after=start_after)
        except Compacted as error:
            raise _expired(found, bool(continue_token)) from error
        except FutureRevision as error:
            raise TooManyRequests(
                f"Too large resource version: {error.revision}, current: {error.current}",
                retry_after_seconds=1,
            ) from error
        items: Documents = []
        metadata: Document = {"resourceVersion": str(result.revision)}
        for index, kv in enumerate(result.items):
            document = view_of(kv)
            if labels.matches(labels_of(document)) and fields.matches(document):
                if limit and len(items) == limit:
                    before = result.items[index - 1].key
                    metadata["continue"] = _make_token(result.revision, before)
                    if labels.empty and fields.empty:
                        metadata["remainingItemCount"] = len(result.items) - index
                    break
                items.append(thaw(document))
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
        """The changes of a kind after a revision (None: from now on).

        `on_ready` is called on the writer's thread when something arrives after a poll that found
        nothing; it may only enqueue.

        Raises:
            Expired: that revision is no longer kept: list again.
            BadRequest: a selector or revision that makes no sense.
        """
        found = self.registry.find(kind)
        labels, fields = self._selectors(found, label_selector, field_selector)
        since = None if resource_version is None else _revision_number(resource_version)
        prefix = found.prefix_of(namespace)
        watch = open_watch(self.store.watch, prefix, since, on_ready, found.resource)
        return ResourceWatch(watch, labels, fields, found.resource)

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


def _make_token(revision: int, key: str) -> str:
    return urlsafe_b64encode(json.dumps([revision, key]).encode()).decode()


def _parse_token(token: str) -> tuple[int, str]:
    try:
        revision, key = json.loads(urlsafe_b64decode(token.encode()))
        if type(revision) is int and revision > 0 and isinstance(key, str):
            return revision, key
    except (ValueError, TypeError) as error:
        raise BadRequest("continue key is not valid") from error
    raise BadRequest("continue key is not valid")


def _expired(kind: Kind, paging: bool) -> Expired:
    what: Any = "the provided continue parameter" if paging else "the requested resource version"
    return Expired(
        f"{what} is too old to display a consistent list result",
        hint="start the list over, without continue and resourceVersion",
        kind=kind.resource,
    )
