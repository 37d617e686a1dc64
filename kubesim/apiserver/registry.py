"""The kinds that the API server knows.

A `Kind` says how a kind is called and scoped, how it is defaulted and validated. A further kind is
one `Kind(...)` in the file of its group; kinds of your own can be registered at run time.

Source: k8s.io/apiserver/pkg/registry/rest (strategies), pkg/registry/*/strategy.go; for kinds of
your own: apiextensions.k8s.io CustomResourceDefinition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.metadata import SUBDOMAIN_RULE
from kubesim.errors import AlreadyExists, NotFound, mapping_hint
from kubesim.objects.frozen import Document
from kubesim.objects.meta import valid_dns1123_subdomain

if TYPE_CHECKING:
    from kubesim.apiserver.base import Base

Default = Callable[[Document], None]
Validate = Callable[[Document, FieldErrors], None]
ValidateUpdate = Callable[[Document, Document, FieldErrors], None]
Admit = Callable[["Base", Document, Document | None], None]
Compute = Callable[["Base"], list[Document]]


def _nothing(*_args: Any) -> None:
    """No defaults, no rules."""


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    Attributes:
        kind: for example ``Pod``.
        plural: for example ``pods``.
        group: API group; "" for the core group.
        version: for example ``v1``.
        namespaced: objects live in namespaces.
        short_names: what kubectl accepts, too.
        default: fills in what the client left out; changes the document that it is given.
        admit: what needs a look at other objects, or at the object's own uid: called with (server,
            new, old or None) after the defaults, before the rules; may change it or refuse.
        validate: reports every broken rule of a new or changed object.
        validate_update: reports what may not change; called with (new, old).
        valid_name: the rule for names.
        name_rule: that rule in words.
        status: has a status that only `update_status` writes.
        status_at_creation: the creator may send the status, too (a kubelet registers its node so).
        validate_status: reports what is wrong with a status that is written.
        counts_generation: metadata.generation counts the changes of spec.
        scale: has a scale subresource (spec.replicas, status.replicas).
        read_only: written by the simulator's own paths, not by create and update.
        compute: makes the objects when they are read, instead of the store; they have no watch.
        ttl_seconds: objects vanish so long after their creation, by a lease of the store; 0: never.
        selectable_fields: field selectors besides metadata.name and metadata.namespace.
        categories: groups of kinds to ask for together: ``all``.
        singular: the name of one; "": the kind in lower case.
        schema: an OpenAPI schema of its own; None: that of the built-in API types, if any.
        propagation: what a deletion that does not say does with dependents: Background, or Orphan
            (kept for old clients); "": nobody collects them.
    """

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    default: Default = _nothing
    admit: Admit = _nothing
    validate: Validate = _nothing
    validate_update: ValidateUpdate = _nothing
    valid_name: Callable[[object], bool] = valid_dns1123_subdomain
    name_rule: str = SUBDOMAIN_RULE
    status: bool = True
    status_at_creation: bool = False
    validate_status: Validate = _nothing
    counts_generation: bool = True
    scale: bool = False
    read_only: bool = False
    compute: Compute | None = None
    ttl_seconds: float = 0.0
    selectable_fields: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    singular: str = ""
    schema: Document | None = None
    propagation: str = "Background"
    prefix: str = field(init=False)

    def __post_init__(self) -> None:
        middle = f"{self.group}/{self.plural}" if self.group else self.plural
        object.__setattr__(self, "prefix", f"/registry/{middle}/")
        if not self.singular:
            object.__setattr__(self, "singular", self.kind.lower())

    @property
    def qualified_kind(self) -> str:
        """How messages of validation name it: ``Pod``, ``StatefulSet.apps``."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def api_version(self) -> str:
        """``apps/v1``, or ``v1`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """How messages name it: ``pods``, ``statefulsets.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def key(self, namespace: str, name: str) -> str:
        """Where an object stands in the store."""
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else f"{self.prefix}{name}"

    def prefix_of(self, namespace: str | None) -> str:
        """Where the objects of a namespace (None: of all) stand in the store."""
        return f"{self.prefix}{namespace}/" if namespace and self.namespaced else self.prefix


class Registry:
    """Kinds by any of their names.

    A short or plural name means the kind that took it first; ``plural.group`` is never ambiguous:

    >>> registry = Registry([Kind("Pod", "pods", short_names=("po",)),
    ...                      Kind("PodMetrics", "pods", group="metrics.k8s.io")])
    >>> registry.find("po").kind, registry.find("pods").kind
    ('Pod', 'Pod')
    >>> registry.find("pods.metrics.k8s.io").kind
    'PodMetrics'
    """

    def __init__(self, kinds: Iterable[Kind] = ()) -> None:
        self._kinds: dict[str, Kind] = {}
        self._own: dict[str, Kind] = {}  # names that mean one kind alone
        self._shared: dict[str, Kind] = {}  # names that several kinds may claim
        for kind in kinds:
            self.register(kind)

    def register(self, kind: Kind) -> None:
        """Add a kind.

        Raises:
            AlreadyExists: there is a kind of that name, or of that plural in its group.
        """
        for name in (kind.kind, kind.kind.lower(), kind.resource):
            if name in self._own:
                raise AlreadyExists(f"there is a kind called {name!r} already")
        self._kinds[kind.kind] = kind
        self._own.update(dict.fromkeys((kind.kind, kind.kind.lower(), kind.resource), kind))
        for name in (kind.plural, *kind.short_names):
            self._shared.setdefault(name, kind)

    def replace(self, kind: Kind) -> None:
        """Put a changed kind in the place of the one of the same name: another server serves it."""
        old = self.find(kind.kind)
        self._kinds[kind.kind] = kind
        for names in (self._own, self._shared):
            names.update({name: kind for name, known in names.items() if known is old})

    def find(self, name: str) -> Kind:
        """The kind of that name: ``Pod``, ``pods``, ``po``.

        Raises:
            NotFound: there is none; the message lists those that exist.
        """
        found = self._own.get(name) or self._shared.get(name)
        if found is None and isinstance(name, str):
            lower = name.lower()
            found = self._own.get(lower) or self._shared.get(lower)
        if found is None:
            raise NotFound(
                f'the server doesn\'t have a resource type "{name}"',
                hint=mapping_hint(name, self._kinds, limit=20),
            )
        return found

    def kinds(self) -> list[Kind]:
        """All kinds, in order of registration."""
        return list(self._kinds.values())
