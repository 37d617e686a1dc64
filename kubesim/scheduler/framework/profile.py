"""A profile: which plug-ins run, in which order, with which weight and arguments.

In Python a profile is a list of plug-ins, (plug-in, weight) pairs, or `Enabled` records. Each
plug-in joins every extension point that it has a method for, as with upstream's *multiPoint*.
`profile_from` reads a KubeSchedulerConfiguration instead, with lists per extension point.

Source: pkg/scheduler/framework/runtime/framework.go (NewFramework, expandMultiPointPlugins),
apis/config/v1/default_plugins.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kubesim.arguments import check_arguments, optional, whole_number
from kubesim.errors import BadRequest
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.meta import valid_dns1123_subdomain
from kubesim.scheduler.framework.interface import POINTS, Plugin

PROFILE_FIELDS = (
    "schedulerName",
    "percentageOfNodesToScore",
    "podInitialBackoffSeconds",
    "podMaxBackoffSeconds",
    "plugins",
    "pluginConfig",
)
MAX_BACKOFF = 2**31  # seconds; only to keep times finite
_REFERENCE = "see https://kubernetes.io/docs/reference/scheduling/config/"

Factory: TypeAlias = Callable[[ReadOnlyDocument], Plugin]
"""Makes a plug-in from the args of a KubeSchedulerConfiguration."""


@dataclass(frozen=True)
class Enabled:
    """One plug-in of a profile.

    Attributes:
        plugin: an object with a name and the methods of its extension points.
        weight: of its score; 0 counts as 1.
        points: the extension points that it joins; None: all that it has methods for.
    """

    plugin: Plugin
    weight: int = 1
    points: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """The plug-in's name; without one, its class's name."""
        return str(getattr(self.plugin, "name", type(self.plugin).__name__))

    def joins(self, point: str) -> bool:
        """Return whether the plug-in runs at that extension point."""
        if self.points is not None and point not in self.points:
            return False
        return callable(getattr(self.plugin, POINTS[point], None))


Entry: TypeAlias = Plugin | tuple[Plugin, int] | Enabled
"""One element of a profile that is given as a list."""


class Profile(list[Enabled]):
    """Plug-ins in order.

    Args:
        plugins: in order; they run at every extension point that they join.
        at: extension point -> its own list of plug-ins, in place of the general one.
        percentage, initial_backoff, max_backoff: see the attributes.

    Attributes:
        at: extension points with their own order.
        percentage: percentageOfNodesToScore; None: the scheduler's default.
        initial_backoff, max_backoff: podInitialBackoffSeconds and podMaxBackoffSeconds; a pod that
            was refused waits for so long, doubling each time, up to the maximum.
    """

    def __init__(
        self,
        plugins: Iterable[Enabled] = (),
        at: Mapping[str, Sequence[Enabled]] | None = None,
        percentage: int | None = None,
        initial_backoff: int = 1,
        max_backoff: int = 10,
    ) -> None:
        super().__init__(plugins)
        self.at = dict(at or {})
        self.percentage = percentage
        self.initial_backoff, self.max_backoff = initial_backoff, max_backoff

    def plugins_at(self, point: str) -> list[Enabled]:
        """Return the plug-ins of an extension point, in order."""
        if point in self.at:
            return list(self.at[point])
        return [enabled for enabled in self if enabled.joins(point)]


def make_profile(plugins: Iterable[Entry] | Plugin) -> Profile:
    """Make a profile from plug-ins, (plug-in, weight) pairs or `Enabled` records; or from one.

    Raises:
        BadRequest: an element is not a plug-in; the message says what a plug-in needs.
    """
    if isinstance(plugins, Profile):
        return plugins
    if isinstance(plugins, (str, bytes)):
        raise BadRequest(
            f"a profile is a list of plug-ins, not the string {plugins!r}",
            hint="for example [*default_profile(), MyPlugin()]",
        )
    entries = list(plugins) if isinstance(plugins, Iterable) else [plugins]
    return Profile(_enabled(entry) for entry in entries)


def _enabled(entry: Entry) -> Enabled:
    if isinstance(entry, Enabled):
        enabled = entry
    elif isinstance(entry, tuple) and len(entry) == 2:
        try:
            weight = int(entry[1])
        except (TypeError, ValueError):
            raise BadRequest(
                f"the weight of a plug-in must be a number, not {entry[1]!r}",
                hint="for example [(MyPlugin(), 2)]",
            ) from None
        enabled = Enabled(entry[0], weight or 1)
    else:
        enabled = Enabled(entry)
    plugin = enabled.plugin
    if isinstance(plugin, type):
        raise BadRequest(
            f"{plugin.__name__} is a class, not a plug-in",
            hint=f"write {plugin.__name__}(), with parentheses",
        )
    if not any(callable(getattr(plugin, method, None)) for method in POINTS.values()):
        raise BadRequest(
            f"{plugin!r} is not a scheduler plug-in",
            hint="give it a name and a method filter(pod, node) or score(pod, node)",
        )
    return enabled


def profile_from(
    config: ReadOnlyDocument,
    registry: Mapping[str, Factory],
    weights: Sequence[tuple[str, int]],
) -> Profile:
    """Read one entry of `profiles` of a KubeSchedulerConfiguration, on top of the default plug-ins.

    Args:
        config: with ``plugins`` (per point, and ``multiPoint``: ``enabled`` and ``disabled`` lists
            of ``name`` and ``weight``; ``{"name": "*"}`` disables all) and ``pluginConfig`` (a list
            of ``name`` and ``args``), ``percentageOfNodesToScore``, and, as in the configuration
            itself, ``podInitialBackoffSeconds`` and ``podMaxBackoffSeconds``.
        registry: plug-in by name: a function from its args; see `scheduler.registry.REGISTRY`.
        weights: name and weight of each default plug-in, in order.

    Raises:
        BadRequest: an unknown field, plug-in or extension point, or a value of the wrong type.
    """
    _check_fields(config)
    plugins = _mapping(config.get("plugins"), "plugins")
    unknown = set(plugins) - {*POINTS, "multiPoint"}
    if unknown:
        raise BadRequest(
            f"there is no extension point {sorted(map(str, unknown))[0]!r}",
            hint=f"the extension points are: multiPoint, {', '.join(POINTS)}",
        )
    build = _Builder(config, registry)
    defaults: list[ReadOnlyDocument] = [
        {"name": name, "weight": weight} for name, weight in weights
    ]
    everywhere = _merged(defaults, _mapping(plugins.get("multiPoint"), "plugins.multiPoint"))
    percentage = config.get("percentageOfNodesToScore")
    profile = Profile(
        (build(entry) for entry in everywhere),
        percentage=percentage,
        initial_backoff=config.get("podInitialBackoffSeconds", 1),
        max_backoff=config.get("podMaxBackoffSeconds", 10),
    )
    for point in POINTS:
        if point not in plugins:
            continue
        lists = _mapping(plugins[point], f"plugins.{point}")
        own = [build(entry) for entry in _entries(lists, "enabled")]
        off = {entry["name"] for entry in _entries(lists, "disabled")}
        named = {enabled.name for enabled in own}
        rest = [
            enabled
            for enabled in profile
            if enabled.joins(point) and enabled.name not in named and not off & {enabled.name, "*"}
        ]
        profile.at[point] = own + rest
    return profile


def _check_fields(config: ReadOnlyDocument) -> None:
    """Raise an error for an unknown field, or for a bad name or percentage.

    Source: pkg/scheduler/apis/config/validation/validation.go (validateKubeSchedulerProfile,
    validatePercentageOfNodesToScore, ValidateKubeSchedulerConfiguration).
    """
    for field in config:
        if field not in PROFILE_FIELDS:
            raise BadRequest(
                f"a scheduler profile has no field {field!r}",
                hint=f"the fields are: {', '.join(PROFILE_FIELDS)}",
            )
    check_scheduler_name(config.get("schedulerName", "default-scheduler"))
    percentage = {"percentageOfNodesToScore": config.get("percentageOfNodesToScore")}
    check_arguments({"percentageOfNodesToScore": optional(whole_number(0, 100))}, percentage)
    initial = config.get("podInitialBackoffSeconds", 1)
    check_arguments(
        {"podInitialBackoffSeconds": whole_number(1, MAX_BACKOFF)},
        {"podInitialBackoffSeconds": initial},
    )
    check_arguments(
        {"podMaxBackoffSeconds": whole_number(initial, MAX_BACKOFF)},
        {"podMaxBackoffSeconds": config.get("podMaxBackoffSeconds", 10)},
    )


def check_scheduler_name(name: object) -> None:
    """Raise an error for a name that no pod can have as its spec.schedulerName.

    Raises:
        BadRequest: the name is not a DNS subdomain.
    """
    if not isinstance(name, str) or not valid_dns1123_subdomain(name):
        raise BadRequest(
            f"{name!r} cannot be the name of a scheduler",
            hint="use lower case letters, digits, '-' and '.', for example 'packing-scheduler'",
        )


class _Builder:
    """Makes each plug-in of a configuration once, with its args."""

    def __init__(self, config: ReadOnlyDocument, registry: Mapping[str, Factory]) -> None:
        listed = _entries(config, "pluginConfig")
        self._registry = registry
        self._args = {self._known(entry): entry.get("args") or {} for entry in listed}
        self._plugins: dict[str, Plugin] = {}

    def __call__(self, entry: ReadOnlyDocument) -> Enabled:
        name, weight = self._known(entry), entry.get("weight", 0)
        check_arguments({"weight": whole_number(0)}, {"weight": weight})
        if name not in self._plugins:
            self._plugins[name] = self._make(name, self._args.get(name, {}))
        return Enabled(self._plugins[name], weight or 1)

    def _known(self, entry: ReadOnlyDocument) -> str:
        """Return the name in an entry, if the registry has it."""
        name = entry["name"]
        if not isinstance(name, str) or name not in self._registry:
            available = ", ".join(sorted(self._registry))
            raise BadRequest(f"there is no plug-in {name!r}", hint=f"the plug-ins are: {available}")
        return name

    def _make(self, name: str, args: ReadOnlyDocument) -> Plugin:
        try:
            return self._registry[name](args)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadRequest(
                f"the args of {name} in pluginConfig are not valid: {error}", hint=_REFERENCE
            ) from error


def _merged(
    defaults: Sequence[ReadOnlyDocument], lists: ReadOnlyDocument
) -> list[ReadOnlyDocument]:
    """Apply the lists of multiPoint to the default plug-ins.

    An entry with the name of a default plug-in replaces it in its place; other entries follow.
    """
    off = {entry["name"] for entry in _entries(lists, "disabled")}
    enabled = {entry["name"]: entry for entry in _entries(lists, "enabled")}
    retained = [] if "*" in off else [entry for entry in defaults if entry["name"] not in off]
    named = {entry["name"] for entry in retained}
    merged = [enabled.get(entry["name"], entry) for entry in retained]
    return merged + [entry for name, entry in enabled.items() if name not in named]


def _mapping(value: object, where: str) -> ReadOnlyDocument:
    """Return a part of the configuration that must be a mapping; {} if it is missing."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadRequest(
            f"{where} of a scheduler configuration must be a mapping, not {value!r}",
            hint=_REFERENCE,
        )
    return value


def _entries(lists: ReadOnlyDocument, field: str) -> list[ReadOnlyDocument]:
    """Return a list of the configuration whose entries must have a name; [] if it is missing."""
    entries = lists.get(field) or ()
    if isinstance(entries, (list, tuple)) and all(
        isinstance(entry, Mapping) and "name" in entry for entry in entries
    ):
        return list(entries)
    raise BadRequest(
        f"{field} of a scheduler configuration must be a list of entries with a name",
        hint=f'for example {{"{field}": [{{"name": "NodeResourcesFit"}}]}}',
    )
