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

from kubesim.errors import BadRequest
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.scheduler.framework.interface import POINTS, Plugin

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

    Attributes:
        at: extension points with an order of their own.
        percentage: percentageOfNodesToScore; None: the scheduler's default.
    """

    def __init__(
        self, plugins: Iterable[Enabled] = (), at: Mapping[str, Sequence[Enabled]] | None = None
    ) -> None:
        super().__init__(plugins)
        self.at = dict(at or {})
        self.percentage: int | None = None

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
            f"{plugin!r} is no scheduler plug-in",
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
            of ``name`` and ``args``), and ``percentageOfNodesToScore``.
        registry: plug-in by name: a function from its args; see `scheduler.registry.REGISTRY`.
        weights: name and weight of each default plug-in, in order.

    Raises:
        BadRequest: an unknown plug-in or extension point, or a part of the wrong type.
    """
    wanted = _mapping(config.get("plugins"), "plugins")
    unknown = set(wanted) - {*POINTS, "multiPoint"}
    if unknown:
        raise BadRequest(
            f"there is no extension point {sorted(unknown)[0]!r}",
            hint=f"the extension points are: multiPoint, {', '.join(POINTS)}",
        )
    build = _Builder(config, registry)
    defaults: list[ReadOnlyDocument] = [
        {"name": name, "weight": weight} for name, weight in weights
    ]
    everywhere = _merged(defaults, _mapping(wanted.get("multiPoint"), "plugins.multiPoint"))
    profile = Profile(build(entry) for entry in everywhere)
    profile.percentage = config.get("percentageOfNodesToScore")
    for point in POINTS:
        if point not in wanted:
            continue
        lists = _mapping(wanted[point], f"plugins.{point}")
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


class _Builder:
    """Makes each plug-in of a configuration once, with its args."""

    def __init__(self, config: ReadOnlyDocument, registry: Mapping[str, Factory]) -> None:
        listed = _entries(config, "pluginConfig")
        self._args = {entry["name"]: entry.get("args") or {} for entry in listed}
        self._registry = registry
        self._plugins: dict[str, Plugin] = {}

    def __call__(self, entry: ReadOnlyDocument) -> Enabled:
        name = entry["name"]
        if name not in self._registry:
            known = ", ".join(sorted(self._registry))
            raise BadRequest(f"there is no plug-in {name!r}", hint=f"the plug-ins are: {known}")
        if name not in self._plugins:
            self._plugins[name] = self._registry[name](self._args.get(name, {}))
        return Enabled(self._plugins[name], entry.get("weight", 0) or 1)


def _merged(
    defaults: Sequence[ReadOnlyDocument], lists: ReadOnlyDocument
) -> list[ReadOnlyDocument]:
    """Apply the lists of multiPoint to the default plug-ins.

    An entry with the name of a default plug-in replaces it in its place; other entries follow.
    """
    off = {entry["name"] for entry in _entries(lists, "disabled")}
    enabled = {entry["name"]: entry for entry in _entries(lists, "enabled")}
    kept = [] if "*" in off else [entry for entry in defaults if entry["name"] not in off]
    named = {entry["name"] for entry in kept}
    merged = [enabled.get(entry["name"], entry) for entry in kept]
    return merged + [entry for name, entry in enabled.items() if name not in named]


def _mapping(value: object, where: str) -> ReadOnlyDocument:
    """Return a part of the configuration that must be a mapping; {} if it is missing."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadRequest(
            f"{where} of a scheduler configuration must be a mapping, not {value!r}",
            hint="see https://kubernetes.io/docs/reference/scheduling/config/",
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
