"""A profile: which plug-ins run, in which order, with which weight and arguments.

In Python a profile is a list: plug-ins, (plug-in, weight) pairs, or `Enabled` records. Each joins
every extension point that it has a method for, as upstream's *multiPoint* does.
`profile_from` reads the form of a KubeSchedulerConfiguration instead, with lists per point.

Source: pkg/scheduler/framework/runtime/framework.go (NewFramework, expandMultiPointPlugins),
apis/config/v1/default_plugins.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubesim.errors import BadRequest

# Extension point -> the method that joins it. In configurations points are written as on the left.
POINTS: Mapping[str, str] = {
    "preEnqueue": "pre_enqueue",
    "queueSort": "less",
    "preFilter": "pre_filter",
    "filter": "filter",
    "postFilter": "post_filter",
    "preScore": "pre_score",
    "score": "score",
    "reserve": "reserve",
    "permit": "permit",
    "preBind": "pre_bind",
    "bind": "bind",
    "postBind": "post_bind",
}
Factory = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Enabled:
    """One plug-in of a profile.

    Attributes:
        plugin: an object with a name and the methods of its extension points.
        weight: of its score; 0 counts as 1.
        points: the extension points that it joins; None: all that it has methods for.
    """

    plugin: Any
    weight: int = 1
    points: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """The plug-in's name."""
        return str(getattr(self.plugin, "name", type(self.plugin).__name__))

    def joins(self, point: str) -> bool:
        """It runs at that extension point."""
        if self.points is not None and point not in self.points:
            return False
        return callable(getattr(self.plugin, POINTS[point], None))


class Profile(list[Enabled]):
    """Plug-ins in order.

    Attributes:
        at: extension points whose order is their own.
        percentage: percentageOfNodesToScore; None: the scheduler's.
    """

    def __init__(
        self, plugins: Iterable[Enabled] = (), at: Mapping[str, Sequence[Enabled]] | None = None
    ) -> None:
        super().__init__(plugins)
        self.at = dict(at or {})
        self.percentage: int | None = None

    def plugins_at(self, point: str) -> list[Enabled]:
        """Who runs at an extension point, in order."""
        if point in self.at:
            return list(self.at[point])
        return [enabled for enabled in self if enabled.joins(point)]


def make_profile(plugins: Any) -> Profile:
    """A profile from plug-ins, (plug-in, weight) pairs or `Enabled` records; or from one plug-in.

    Raises:
        BadRequest: something in it is no plug-in; the message says what one needs.
    """
    if isinstance(plugins, Profile):
        return plugins
    items = list(plugins) if isinstance(plugins, Iterable) else [plugins]
    profile = Profile()
    for item in items:
        if isinstance(item, tuple) and len(item) == 2:
            item = Enabled(item[0], int(item[1]) or 1)
        elif not isinstance(item, Enabled):
            item = Enabled(item)
        if isinstance(item.plugin, type):
            raise BadRequest(
                f"{item.plugin.__name__} is a class, not a plug-in",
                hint=f"write {item.plugin.__name__}(), with parentheses",
            )
        if not any(callable(getattr(item.plugin, method, None)) for method in POINTS.values()):
            raise BadRequest(
                f"{item.plugin!r} is no scheduler plug-in",
                hint="give it a name and a method filter(pod, node) or score(pod, node)",
            )
        profile.append(item)
    return profile


def profile_from(
    config: Mapping[str, Any],
    registry: Mapping[str, Factory],
    weights: Sequence[tuple[str, int]],
) -> Profile:
    """One entry of `profiles` in a KubeSchedulerConfiguration, over the default plug-ins.

    Args:
        config: with ``plugins`` (per point, and ``multiPoint``: ``enabled`` and ``disabled`` lists
            of ``name`` and ``weight``; ``{"name": "*"}`` disables all) and ``pluginConfig`` (a list
            of ``name`` and ``args``), and ``percentageOfNodesToScore``.
        registry: plug-in by name: a function from its args; see `plugins.REGISTRY`.

    Raises:
        BadRequest: an unknown plug-in or point.
    """
    args = {entry["name"]: entry.get("args") or {} for entry in config.get("pluginConfig") or ()}
    wanted: Mapping[str, Any] = config.get("plugins") or {}
    unknown = set(wanted) - {*POINTS, "multiPoint"}
    if unknown:
        raise BadRequest(
            f"there is no extension point {sorted(unknown)[0]!r}",
            hint=f"there are: multiPoint, {', '.join(POINTS)}",
        )
    made: dict[str, Any] = {}

    def build(name: str, weight: int) -> Enabled:
        if name not in registry:
            raise BadRequest(f"there is no plug-in {name!r}", hint=", ".join(sorted(registry)))
        if name not in made:
            made[name] = registry[name](args.get(name, {}))
        return Enabled(made[name], weight or 1)

    defaults = [{"name": name, "weight": weight} for name, weight in weights]
    everywhere = _merged(defaults, wanted.get("multiPoint") or {})
    profile = Profile(build(entry["name"], entry.get("weight", 0)) for entry in everywhere)
    profile.percentage = config.get("percentageOfNodesToScore")
    for point in POINTS:
        if point not in wanted:
            continue
        lists = wanted[point]
        own = [build(e["name"], e.get("weight", 0)) for e in lists.get("enabled") or ()]
        off = {entry["name"] for entry in lists.get("disabled") or ()}
        named = {enabled.name for enabled in own}
        rest = [
            enabled
            for enabled in profile
            if enabled.joins(point) and enabled.name not in named and not off & {enabled.name, "*"}
        ]
        profile.at[point] = own + rest
    return profile


def _merged(
    defaults: Sequence[Mapping[str, Any]], lists: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The default plug-ins with the changes of a configuration: an entry of the same name replaces
    the default in its place, others follow."""
    off = {entry["name"] for entry in lists.get("disabled") or ()}
    enabled = {entry["name"]: entry for entry in lists.get("enabled") or ()}
    kept = [] if "*" in off else [e for e in defaults if e["name"] not in off]
    named = {entry["name"] for entry in kept}
    merged = [enabled.get(entry["name"], entry) for entry in kept]
    return merged + [entry for name, entry in enabled.items() if name not in named]
