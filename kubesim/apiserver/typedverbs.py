"""Types of the verbs by which components read and write: the kind says what comes back.

`KubeAPI` declares its methods with these Protocols, for type checkers alone; the code is in
`kubesim.apiserver.verbs`. A name of `kubesim.objects.kindnames` gives the TypedDict of its kind, a
string gives a `Document`; a write returns an object of the type that it was given.

Real counterpart: the typed clients of client-go.
"""

from __future__ import annotations

from typing import Protocol, Unpack, overload

from kubesim.apiserver.options import WriteOptions
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import D, KindName


class GetVerb(Protocol):
    """Type of `KubeAPI.get`."""

    @overload
    def __call__(self, kind: KindName[D], name: str, namespace: str | None = None) -> D: ...
    @overload
    def __call__(self, kind: str, name: str, namespace: str | None = None) -> Document: ...


class PeekVerb(Protocol):
    """Type of `KubeAPI.peek`."""

    @overload
    def __call__(self, kind: KindName[D], name: str, namespace: str | None = None) -> D | None: ...
    @overload
    def __call__(self, kind: str, name: str, namespace: str | None = None) -> Document | None: ...


class SnapshotVerb(Protocol):
    """Type of `KubeAPI.snapshot`."""

    @overload
    def __call__(
        self, kind: KindName[D], namespace: str | None = None, *, field_selector: str = ""
    ) -> tuple[list[D], int]: ...
    @overload
    def __call__(
        self, kind: str, namespace: str | None = None, *, field_selector: str = ""
    ) -> tuple[list[Document], int]: ...


class CreateVerb(Protocol):
    """Type of `KubeAPI.create`."""

    @overload
    def __call__(
        self,
        document: Document,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        **options: Unpack[WriteOptions],
    ) -> Document: ...
    @overload
    def __call__(
        self,
        document: D,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        **options: Unpack[WriteOptions],
    ) -> D: ...


class UpdateVerb(Protocol):
    """Type of `KubeAPI.update` and `KubeAPI.update_status`."""

    @overload
    def __call__(
        self, document: Document, *, dry_run: bool = False, **options: Unpack[WriteOptions]
    ) -> Document: ...
    @overload
    def __call__(
        self, document: D, *, dry_run: bool = False, **options: Unpack[WriteOptions]
    ) -> D: ...
