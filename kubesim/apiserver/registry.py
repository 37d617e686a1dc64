"""The kinds that the API server knows.

A `Kind` says how a kind is called and scoped, how it is defaulted and validated. A further kind is
one `Kind(...)` in the file of its group; kinds of your own can be registered at run time.

Source: k8s.io/apiserver/pkg/registry/rest (strategies), pkg/registry/*/strategy.go; for kinds of
your own: apiextensions.k8s.io CustomResourceDefinition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
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
Convert = Callable[[Document], Document]


VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def _nothing(*_args: Any) -> None:
    """No defaults, no rules."""


def _same(document: Document) -> Document:
    """Versions that differ in name alone."""
    return document


@dataclass(frozen=True)
class Version:
    """A further version in which a kind is served; the store holds one version of it alone.

    Attributes:
        version: for example ``v1``.
        to_stored: turns a document of this version into one of the stored version; both functions
            get a document of their own and may change it.
        from_stored: the way back.
        columns, schema: as of `Kind`.
    """

    version: str
    to_stored: Convert = _same
    from_stored: Convert = _same
    columns: tuple[Document, ...] = ()
    schema: Document | None = None


@dataclass(frozen=True)
class Scale:
    """Where a kind keeps what its scale subresource shows: paths of fields, without index.

    Attributes:
        replicas: how many are wanted.
        status_replicas: how many there are.
        selector: a label selector, as document or as text; "": there is none.
    """

    replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "spec.selector"


@dataclass(frozen=True, eq=False)  # a kind is itself alone; what is made of one is kept by it
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
        trigger_field: watches that select on this field are woken by their own value alone.
        selectable_fields: field selectors besides metadata.name and metadata.namespace.
        categories: groups of kinds to ask for together: ``all``.
        singular: the name of one; "": the kind in lower case.
        verbs: what clients may do, for discovery; (): all verbs, or the reading ones.
        versions: further versions in which it is served.
        scale_paths: where the figures of its scale are.
        custom: defined at run time: patched by RFC 7386 and 6902 alone.
        columns: printer columns of its own (`additionalPrinterColumns`).
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
    trigger_field: str = ""
    categories: tuple[str, ...] = ()
    singular: str = ""
    verbs: tuple[str, ...] = ()
    versions: tuple[Version, ...] = ()
    scale_paths: Scale = Scale()
    custom: bool = False
    columns: tuple[Document, ...] = ()
    schema: Document | None = None
    propagation: str = "Background"
    prefix: str = field(init=False)

    def __post_init__(self) -> None:
        middle = f"{self.group}/{self.plural}" if self.group else self.plural
        object.__setattr__(self, "prefix", f"/registry/{middle}/")
        if not self.singular:
            object.__setattr__(self, "singular", self.kind.lower())
        if not self.verbs:
            watched = () if self.compute is not None else ("watch",)
            reading = ("get", "list", *watched)
            object.__setattr__(self, "verbs", reading if self.read_only else VERBS)

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

    def version_of(self, api_version: str) -> Version | None:
        """The served version of that apiVersion; None if there is none."""
        group, _, version = api_version.rpartition("/")
        if group != self.group:
            return None
        if version == self.version:
            return Version(version, columns=self.columns, schema=self.schema)
        return next((other for other in self.versions if other.version == version), None)

    def in_version(self, api_version: str) -> Kind:
        """The kind as a further version describes it; itself if that is the stored one.

        For schemas and columns: objects are still those of the stored version.
        """
        found = self.version_of(api_version)
        if found is None or found.version == self.version:
            return self
        return replace(
            self, version=found.version, schema=found.schema, columns=found.columns, versions=()
        )

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
        self._retired: dict[str, Kind] = {}  # by kind: who watches one must not stumble
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
        self._retired.pop(kind.kind, None)
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
            found = self._retired.get(name)
        if found is None:
            raise NotFound(
                f'the server doesn\'t have a resource type "{name}"',
                hint=mapping_hint(name, self._kinds, limit=20),
            )
        return found

    def kinds(self) -> list[Kind]:
        """All kinds, in order of registration."""
        return list(self._kinds.values())

    def define(self, kind: Kind) -> None:
        """Add a kind, in the place of one of the same name if there is one.

        Raises:
            AlreadyExists: as for `register`.
        """
        if kind.kind in self._kinds:
            self.retire(self._kinds[kind.kind])
        self.register(kind)

    def retire(self, kind: Kind) -> None:
        """Take a kind out: no client finds it any more.

        Its own name still finds it, so that a component that watches it sees that nothing is left.
        """
        self._kinds.pop(kind.kind, None)
        for names in (self._own, self._shared):
            for name in [name for name, other in names.items() if other is kind]:
                del names[name]
        for other in self._kinds.values():
            for name in (other.plural, *other.short_names):
                self._shared.setdefault(name, other)
        self._retired[kind.kind] = kind

    def is_retired(self, kind: Kind) -> bool:
        """True after `retire`."""
        return self._retired.get(kind.kind) is kind

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind that is served at ``/apis/GROUP/VERSION/PLURAL``; None if there is none."""
        found = self._own.get(f"{plural}.{group}" if group else plural)
        if found is None and not group:
            shared = self._shared.get(plural)
            found = shared if shared is not None and not shared.group else None
        if found is None or found.plural != plural or found.group != group:
            return None
        return found if found.version_of(f"{group}/{version}" if group else version) else None
