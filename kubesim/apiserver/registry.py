"""The kinds that the API server serves.

A `Kind` holds the names and the scope of a kind, its defaults and its validation. A further kind is
one `Kind(...)` in the file of its group; your own kinds can be registered at run time.
`ServerView` is what the hooks of a kind may use of the API server.

Source: k8s.io/apiserver/pkg/registry/rest (strategies), pkg/registry/*/strategy.go; for kinds of
your own: apiextensions.k8s.io CustomResourceDefinition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from kubesim.apiserver.kindversions import WORKLOAD_SCALE, KindVersion, ScalePaths
from kubesim.apiserver.validation import SUBDOMAIN_RULE, FieldErrors
from kubesim.clock.base import Clock, Streams, change_lock
from kubesim.errors import AlreadyExists, NotFound, mapping_hint
from kubesim.objects.frozen import Document
from kubesim.objects.meta import SUBDOMAIN
from kubesim.store import SampleStore, Store

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class ServerView(Protocol):
    """What the hooks of a kind may use of the API server.

    Attributes:
        store: the other objects.
        samples: the usage samples of pods.
        clock: for timestamps.
        service_accounts: the admission plug-in ServiceAccount is on.
    """

    store: Store
    samples: SampleStore
    clock: Clock
    service_accounts: bool

    @property
    def registry(self) -> Registry:
        """The kinds."""

    @property
    def streams(self) -> Streams:
        """Random streams; in a dry run, copies of them."""


Default = Callable[[Document], None]
Validate = Callable[[Document, FieldErrors], None]
ValidateUpdate = Callable[[Document, Document, FieldErrors], None]
Admit = Callable[[ServerView, Document, Document | None], None]
Warn = Callable[[Document, bool], list[str]]
Complete = Callable[[ServerView, Document], None]
Compute = Callable[[ServerView], list[Document]]


@dataclass(frozen=True, eq=False)  # compared by identity: caches keep what is derived from a kind
class Kind:
    """One kind of object.

    Attributes:
        kind: for example ``Pod``.
        plural: for example ``pods``.
        group: API group; "" for the core group.
        version: for example ``v1``.
        namespaced: objects live in namespaces.
        short_names: further names that kubectl accepts.
        default: sets the defaults of fields that the client left out, in place; None: there are
            none, as for the four rules that follow.
        admit: checks that need other objects, or the object's own uid: called with (server, new,
            old or None) after the defaults and before validation; may change or refuse the object.
        complete: adds to a new, valid object what needs no validation; called with (server, new).
        validate: reports every broken rule of a new or changed object.
        validate_update: reports changes of immutable fields; called with (new, old).
        validate_new: reports broken rules that hold at creation alone.
        kept: of a kind that is only kept: what does not happen to its objects, for a warning.
        partly: of a kind that is simulated otherwise: what does not happen, for a warning.
        deprecation: the warning with which each request over HTTP is answered; "": none.
        warn: returns warnings for the client that writes an object: called with (the object as it
            was stored, whether the write created it).
        valid_name: whether a name is valid.
        name_rule: the same rule as a message.
        status: has a status that only `update_status` writes.
        status_at_creation: the creator may send the status, too (a kubelet registers its node so).
        zero_status: fields that a status always has: numbers and structures that Go's encoder
            writes even if they are zero (no `omitempty`); None: there are none.
        validate_status: reports every broken rule of a status that is written.
        validate_status_update: the same, called with the object before and after: (new, old).
        counts_generation: metadata.generation counts the changes of `counted_field`.
        counted_field: the part of the object whose changes count; "": all but the metadata.
        scale: has a scale subresource (spec.replicas, status.replicas).
        read_only: written by the simulator's own paths, not by create and update.
        compute: computes the objects when they are read, instead of the store; they have no watch.
        ttl_seconds: objects expire so long after their creation, by a lease of the store; 0: never.
        trigger_field: watches that select on this field are only notified of changes of that value.
        selectable_fields: field selectors other than metadata.name and metadata.namespace.
        categories: groups of kinds to ask for together: ``all``.
        singular: the name of one object; "": the kind in lower case.
        verbs: what clients may do, for discovery; (): all verbs, or the reading ones.
        versions: further versions in which it is served.
        scale_paths: where the fields of its scale are.
        custom: defined at run time: patched by RFC 7386 and 6902 alone.
        columns, schema: its own printer columns and OpenAPI schema; None: of the built-in types.
        propagation: the default propagation policy of a deletion: Background, or Orphan (for old
            clients); "": its dependents are not garbage collected.
        prefix: of the keys of its objects in the store.
        key: key(namespace, name) is the key of an object in the store.
        advises: whether writes of its objects are answered with warnings of the kind.
        api_version: ``apps/v1``, or ``v1`` for the core group.
        resource: its name in messages: ``pods``, ``statefulsets.apps``.
        qualified_kind: its name in messages of validation: ``Pod``, ``StatefulSet.apps``.
    """

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    default: Default | None = None
    admit: Admit | None = None
    complete: Complete | None = None
    validate: Validate | None = None
    validate_update: ValidateUpdate | None = None
    validate_new: Validate | None = None
    kept: str = ""
    partly: str = ""
    warn: Warn | None = None
    deprecation: str = ""
    valid_name: Callable[[str], object] = SUBDOMAIN.fullmatch
    name_rule: str = SUBDOMAIN_RULE
    status: bool = True
    status_at_creation: bool = False
    zero_status: Document | None = None
    validate_status: Validate | None = None
    validate_status_update: ValidateUpdate | None = None
    counts_generation: bool = True
    counted_field: str = "spec"
    scale: bool = False
    read_only: bool = False
    compute: Compute | None = None
    ttl_seconds: float = 0.0
    selectable_fields: tuple[str, ...] = ()
    trigger_field: str = ""
    categories: tuple[str, ...] = ()
    singular: str = ""
    verbs: tuple[str, ...] = ()
    versions: tuple[KindVersion, ...] = ()
    scale_paths: ScalePaths = WORKLOAD_SCALE
    custom: bool = False
    columns: tuple[Document, ...] = ()
    schema: Document | None = None
    propagation: str = "Background"
    prefix: str = field(init=False)
    key: Callable[[str, str], str] = field(init=False, repr=False)
    advises: bool = field(init=False)
    api_version: str = field(init=False)
    resource: str = field(init=False)
    qualified_kind: str = field(init=False)

    def __post_init__(self) -> None:
        group, watched = self.group, () if self.compute is not None else ("watch",)
        prefix = f"/registry/{group}/{self.plural}/" if group else f"/registry/{self.plural}/"
        derived: dict[str, object] = {
            "prefix": prefix,
            "key": (prefix + ("{}/{}" if self.namespaced else "{1}")).format,
            "advises": bool(self.kept or self.partly) or self.warn is not None,
            "api_version": f"{group}/{self.version}" if group else self.version,
            "resource": f"{self.plural}.{group}" if group else self.plural,
            "qualified_kind": f"{self.kind}.{group}" if group else self.kind,
            "singular": self.singular or self.kind.lower(),
            "verbs": self.verbs or (("get", "list", *watched) if self.read_only else VERBS),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def version_of(self, api_version: str) -> KindVersion | None:
        """Return the served version with that apiVersion, or None."""
        group, _, version = api_version.rpartition("/")
        if group == self.group and version == self.version:
            return KindVersion(version, columns=self.columns, schema=self.schema)
        for other in self.versions:
            if other.version == version and (other.group or self.group) == group:
                return other
        return None

    def group_versions(self) -> list[tuple[str, str]]:
        """Return each (group, version) in which the kind is served; the stored one first."""
        others = [(other.group or self.group, other.version) for other in self.versions]
        return [(self.group, self.version), *others]

    def in_version(self, api_version: str) -> Kind:
        """Return the kind with the schema and columns of a further version.

        Itself for the stored version, of which the objects still are.
        """
        if api_version == self.api_version:
            return self
        other = self.version_of(api_version)
        if other is None:
            return self
        return replace(
            self,
            group=other.group or self.group,
            version=other.version,
            schema=other.schema,
            columns=other.columns,
            deprecation=other.deprecation,
            versions=(),
        )

    def prefix_of(self, namespace: str | None) -> str:
        """Return the prefix of the keys of a namespace's objects; None: of all namespaces."""
        return f"{self.prefix}{namespace}/" if namespace and self.namespaced else self.prefix


class Registry:
    """Kinds by any of their names.

    A short or plural name belongs to the kind that was registered first; ``plural.group`` is never
    ambiguous:

    >>> registry = Registry([Kind("Pod", "pods", short_names=("po",)),
    ...                      Kind("PodMetrics", "pods", group="metrics.k8s.io")])
    >>> registry.find("po").kind, registry.find("pods").kind
    ('Pod', 'Pod')
    >>> registry.find("pods.metrics.k8s.io").kind
    'PodMetrics'
    >>> registry.find("podmetrics.v1.metrics.k8s.io").kind
    'PodMetrics'

    The bare name of a kind belongs to the one registered first; others are ``kind.group``:

    >>> registry.register(Kind("Pod", "pods", group="example.com"))
    >>> registry.find("Pod").group, registry.find("Pod.example.com").group
    ('', 'example.com')

    Attributes:
        by_kind: the kinds by `Kind.kind`, or by `Kind.qualified_kind` if that name is taken.
        served: the kinds by (group, version, plural), as in ``/apis/GROUP/VERSION/PLURAL``.
    """

    def __init__(self, kinds: Iterable[Kind] = ()) -> None:
        self.by_kind: dict[str, Kind] = {}
        self.served: dict[tuple[str, str, str], Kind] = {}
        self._own: dict[str, Kind] = {}  # names that belong to one kind alone
        self._shared: dict[str, Kind] = {}  # names that several kinds may claim
        self._retired: dict[str, Kind] = {}  # by qualified kind: open watches still need theirs
        self._changes = change_lock()  # clients may write several definitions at once
        for kind in kinds:
            self._add(kind)
        self._serve()

    def register(self, kind: Kind) -> None:
        """Add a kind.

        Raises:
            AlreadyExists: there is a kind of that name, or of that plural, in its group.
        """
        with self._changes:
            self._add(kind)
            self._serve()

    def _add(self, kind: Kind) -> None:
        own = (kind.resource, kind.qualified_kind, kind.qualified_kind.lower())
        for name in own:
            if name in self._own:
                raise AlreadyExists(f"there is a kind called {name!r} already")
        self._retired.pop(kind.qualified_kind, None)
        self.by_kind[kind.qualified_kind if kind.kind in self.by_kind else kind.kind] = kind
        self._own.update(dict.fromkeys(own, kind))
        self._share(kind)

    def _share(self, kind: Kind) -> None:
        """Give a kind its bare names, unless another kind has them."""
        for name in (kind.kind, kind.kind.lower(), kind.plural, *kind.short_names):
            self._shared.setdefault(name, kind)

    def _serve(self) -> None:
        """Rebuild `served`, and publish it with one assignment."""
        self.served = {
            (group, version, kind.plural): kind
            for kind in self.by_kind.values()
            for group, version in kind.group_versions()
        }

    def replace(self, kind: Kind) -> None:
        """Replace the kind of the same name, for example when another server serves it."""
        with self._changes:
            old = self.find(kind.qualified_kind)
            for names in (self.by_kind, self._own, self._shared):
                names.update({name: kind for name, other in names.items() if other is old})
            self._serve()

    def find(self, name: str) -> Kind:
        """Return the kind of that name: ``Pod``, ``pods``, ``po``, ``deployments.v1.apps``.

        A group, or a version and a group, may follow each name of the kind.

        Raises:
            NotFound: the server has no such kind; the message lists those that exist.

        Source: k8s.io/apimachinery/pkg/runtime/schema (ParseResourceArg, ParseGroupResource).
        """
        kind = self._own.get(name) or self._shared.get(name)
        if kind is None and isinstance(name, str):
            lower = name.lower()
            kind = self._own.get(lower) or self._shared.get(lower) or self._find_in_group(lower)
        if kind is None:
            retired = list(self._retired.values())
            kind = next((old for old in retired if name in (old.kind, old.qualified_kind)), None)
        if kind is None:
            raise NotFound(
                f'the server doesn\'t have a resource type "{name}"',
                hint=mapping_hint(name, list(self.by_kind), limit=20),
            )
        return kind

    def _find_in_group(self, name: str) -> Kind | None:
        """Return the kind of ``name.group`` or ``name.version.group``, or None."""
        first, dot, group = name.partition(".")
        if not dot:
            return None
        version, dot, versioned_group = group.partition(".")
        for kind in self.kinds():
            names = (kind.kind.lower(), kind.singular, kind.plural, *kind.short_names)
            if first not in names:
                continue
            served = kind.group_versions()
            if group and any(group == other for other, _ in served):
                return kind
            if dot and (versioned_group, version) in served:
                return kind
        return None

    def kinds(self) -> list[Kind]:
        """Return all kinds, in order of registration."""
        return list(self.by_kind.values())

    def of_object(self, api_version: str, kind: str) -> Kind:
        """Return the kind of an object, by its apiVersion and kind.

        If its group has no such kind, it is the one that has the bare name; see `find`.
        """
        group = api_version.rpartition("/")[0]
        return self._own.get(f"{kind}.{group}" if group else kind) or self.find(kind)

    def define(self, kind: Kind) -> None:
        """Add a kind, or replace the one of the same name in its group.

        Raises:
            AlreadyExists: as for `register`.
        """
        with self._changes:
            if (old := self._own.get(kind.qualified_kind)) is not None:
                self._remove(old)  # still served until the new one is
            self.register(kind)

    def retire(self, kind: Kind) -> None:
        """Remove a kind: clients no longer find it.

        Its own name still finds it, so that components that watch it see that no object is left.
        """
        with self._changes:
            self._remove(kind)
            self._serve()

    def _remove(self, kind: Kind) -> None:
        """Remove the names of a kind; others that wanted one of them get it."""
        for names in (self._own, self._shared):
            for name in [name for name, other in names.items() if other is kind]:
                del names[name]
        by_kind: dict[str, Kind] = {}
        for other in self.by_kind.values():
            if other is not kind:
                by_kind[other.qualified_kind if other.kind in by_kind else other.kind] = other
                self._share(other)
        self.by_kind = by_kind
        self._retired[kind.qualified_kind] = kind

    def is_retired(self, kind: Kind) -> bool:
        """Return whether the kind was retired and not defined again."""
        return self._retired.get(kind.qualified_kind) is kind

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """Return the kind at ``/apis/GROUP/VERSION/PLURAL``, or None.

        Args:
            group: API group; "" for the core group.
            version: version of the group.
            plural: plural name of the kind, in lower case.
        """
        return self.served.get((group, version, plural))


__all__ = ["Kind", "KindVersion", "Registry", "ScalePaths", "ServerView"]
