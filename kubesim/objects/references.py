"""References to objects as people write them: ``deployment/web``, ``po/shop/web-0``, ``ns/shop``.

The kind is any of the names that the server knows: ``Deployment``, ``deployments``, ``deploy``,
``deployment.apps``, ``deployments.v1.apps``. Short names and irregular plurals come from the
server's registry, so that custom kinds work, too. The namespace stands in the middle and is
``default`` if it is left out.

Source: k8s.io/cli-runtime/pkg/resource (builder.go: splitResourceTypeName).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.wellknown import DEFAULT_NAMESPACE


class NamedKind(Protocol):
    """What a reference uses of a kind; see `kubesim.apiserver.registry.Kind`."""

    @property
    def kind(self) -> str:
        """For example ``Pod``."""

    @property
    def qualified_kind(self) -> str:
        """For example ``Pod``, or ``Deployment.apps``."""

    @property
    def plural(self) -> str:
        """For example ``pods``."""

    @property
    def namespaced(self) -> bool:
        """Its objects are in namespaces."""


class KindNames(Protocol):
    """Finds a kind by any of its names; see `kubesim.apiserver.registry.Registry`."""

    def find(self, name: str) -> NamedKind:
        """Return the kind of that name; raise NotFound if the server has no such kind."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object by kind, namespace and name. As a string: ``kind/name`` or ``kind/namespace/name``.

    Attributes:
        kind: for example ``Deployment``.
        namespace: "" for objects that are in no namespace.
        name: of the object.
    """

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """``namespace/name``, or ``name`` alone."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        return meta.reference(self.kind.lower(), self.key)


def parse_reference(reference: str, kinds: KindNames) -> Reference:
    """Parse ``kind/name`` or ``kind/namespace/name``.

    Args:
        reference: the string.
        kinds: the registry of the server.

    Raises:
        BadRequest: the string has another form, or it names a namespace for a kind without one.
        NotFound: the server has no such kind; the message lists those that it has.
    """
    parts = split_reference(reference)
    kind = kinds.find(parts[0])
    # Several groups may have a kind of that name; one of them has the bare name.
    name = kind.kind if kinds.find(kind.kind) is kind else kind.qualified_kind
    if kind.namespaced:
        namespace = parts[1] if len(parts) == 3 else DEFAULT_NAMESPACE
        return Reference(name, namespace, parts[-1])
    if len(parts) == 3:
        raise BadRequest(
            f"{reference!r}: {kind.plural} are not in a namespace",
            hint=f"write {parts[0]}/{parts[-1]}",
        )
    return Reference(name, "", parts[-1])


def split_reference(reference: str) -> tuple[str, ...]:
    """Split a reference at its slashes into two or three parts.

    Raises:
        BadRequest: there are fewer or more parts, or one is empty.

    >>> split_reference("pod/shop/web-0")
    ('pod', 'shop', 'web-0')
    """
    parts = tuple(reference.split("/")) if isinstance(reference, str) else ()
    if len(parts) not in (2, 3) or not all(parts):
        raise BadRequest(
            f"{reference!r} is not a reference to an object",
            hint="write kind/name or kind/namespace/name, for example deployment/web",
        )
    return parts
