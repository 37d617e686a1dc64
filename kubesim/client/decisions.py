"""Decisions: what a component decided, and why.

Real Kubernetes reports *that* something was decided (an Event, a condition) but rarely why; users
asked for structured decision records in 2016 and again in 2026. Here each decision - scale, place,
reject, create, delete, evict - is recorded as a `Decision`: the inputs, each rule that was applied
with its values, what determined the result, and what would have changed it. `explain()` shows it.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Self

from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.table import html_table

RING = 200  # decisions kept for each object
DIGITS = re.compile(r"[0-9]+")
_NONE = object()  # equals no signature
OBJECTS = 5_000  # objects kept; the oldest is dropped first


class OnDemand:
    """The base of a frozen data class with slots; some fields may be rendered when one is read.

    A pass that nobody asks about then costs no explanation. What is rendered depends on frozen
    values alone, so it does not matter when that happens.

    >>> @dataclass(frozen=True, slots=True)
    ... class Pass(OnDemand):
    ...     size: int
    ...     reason: str = ""
    >>> Pass.on_demand(lambda: {"reason": "above target"}, size=3)
    Pass(size=3, reason='above target')
    """

    __slots__ = ("_render",)
    _render: Callable[[], dict[str, object]] | None

    @classmethod
    def on_demand(cls, render: Callable[[], dict[str, object]], **fields: object) -> Self:
        """Return a record.

        Args:
            render: returns the values of all other fields by name.
            fields: those that are known.
        """
        record = object.__new__(cls)
        for name, value in fields.items():
            object.__setattr__(record, name, value)
        object.__setattr__(record, "_render", render)
        return record

    @property
    def is_rendered(self) -> bool:
        """Whether no field is still to be rendered."""
        return self.renderer is None

    @property
    def renderer(self) -> Callable[[], dict[str, object]] | None:
        """What renders the other fields; None: they are rendered."""
        return getattr(self, "_render", None)

    def rendered(self) -> Self:
        """Render all fields now, and return the record."""
        render = getattr(self, "_render", None)
        if render is not None:
            for name, value in render().items():
                object.__setattr__(self, name, value)
            object.__setattr__(self, "_render", None)  # what it refers to is needed no longer
        return self

    if not TYPE_CHECKING:  # it would permit any name

        def __getattr__(self, name: str) -> object:
            # Called for a field without a value.
            if name not in type(self).__dataclass_fields__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return object.__getattribute__(self.rendered(), name)


@dataclass(frozen=True, slots=True)
class RuleStep:
    """One rule that was applied.

    Attributes:
        rule: short name of the rule, for example ``tolerance``.
        inputs: values by name, with units in the names.
        result: a sentence fragment, for example ``ratio 1.4 is outside 0.9..1.1``.
        source: where Kubernetes documents or implements the rule.
    """

    rule: str
    inputs: ReadOnlyDocument
    result: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Decision(OnDemand):
    """One decision of one component about one object.

    Attributes:
        time: simulated second.
        revision: revision of the store that the decision was based on.
        component: the component that decided, for example ``horizontal-pod-autoscaler``.
        object: the object, as ``kind/name`` or ``kind/namespace/name`` with the kind in lower case
            (``hpa/auto-pod``, ``pod/web-1``, ``statefulset/auto-pod``).
        verdict: the outcome in one sentence.
        steps: the rules in the order in which they were applied.
        binding: the rule or limit that determined the result.
        would_change_if: the smallest change that would alter the verdict, in words.
        data: values for charts (for example ``{"from": 2, "to": 4}``); JSON values.
    """

    time: float
    revision: int
    component: str
    object: str
    verdict: str
    steps: tuple[RuleStep, ...] = ()
    binding: str = ""
    would_change_if: str = ""
    data: ReadOnlyDocument = field(default_factory=dict)

    def to_dict(self) -> Document:
        """Return the record as plain JSON data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"t={self.time:g}s  {self.object}: {self.verdict}   [{self.component}]"]
        for number, step in enumerate(self.steps, 1):
            inputs = ", ".join(f"{key}={_short(value)}" for key, value in step.inputs.items())
            lines.append(
                f"  {number}. {step.rule}: {step.result}" + (f"   ({inputs})" if inputs else "")
            )
        if self.binding:
            lines.append(f"  bound by: {self.binding}")
        if self.would_change_if:
            lines.append(f"  would change if: {self.would_change_if}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            (
                n,
                step.rule,
                step.result,
                ", ".join(f"{k}={_short(v)}" for k, v in step.inputs.items()),
            )
            for n, step in enumerate(self.steps, 1)
        ]
        table = html_table(("#", "rule", "result", "with"), rows)
        notes = "".join(
            f"<p><b>{label}</b> {escape(text)}</p>"
            for label, text in (
                ("Bound by:", self.binding),
                ("Would change if:", self.would_change_if),
            )
            if text
        )
        return (
            f"<p><b>t={self.time:g} s, {escape(self.object)}:</b> {escape(self.verdict)}"
            f" <small>({escape(self.component)})</small></p>"
            f"{table}{notes}"
        )


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


class DecisionLog:
    """The newest decisions about each object.

    Component workers write it and other threads read it: every step is one atomic operation on a
    deque or dict, so that no lock is needed.

    Args:
        ring: decisions kept for each object.
        objects: objects kept.
    """

    def __init__(self, ring: int = RING, objects: int = OBJECTS) -> None:
        self._ring, self._objects = ring, objects
        self._by_object: OrderedDict[str, deque[Decision]] = OrderedDict()
        self._signatures: dict[str, dict[str, Hashable]] = {}  # component -> object -> signature
        self._serial = 0
        self._all: deque[tuple[int, Decision]] = deque(maxlen=ring * 10)

    def record(self, decision: Decision) -> None:
        """Record a decision; if the ring of its object is full, drop the oldest one."""
        ring = self._by_object.get(decision.object)
        if ring is None:
            ring = self._by_object[decision.object] = deque(maxlen=self._ring)
            while len(self._by_object) > self._objects:
                self._by_object.popitem(last=False)
        ring.append(decision)
        self._serial += 1
        self._all.append((self._serial, decision))

    def record_if_new(
        self, decision: Decision, signature: Hashable, *, always: bool = False
    ) -> bool:
        """Record a decision unless it repeats the component's last one about the object.

        A controller decides again at every resync; readers want one record for each change. If only
        figures have changed since, the new record takes the place of the last one.

        Args:
            decision: the record.
            signature: what tells this decision from the one before; compared with ``==``.
            always: record a repetition, too, for example since something was written.

        Returns:
            Whether it was recorded.
        """
        signatures = self._signatures.setdefault(decision.component, {})
        if not always and signatures.get(decision.object, _NONE) == signature:
            self._renew(decision)
            return False
        signatures[decision.object] = signature
        self.record(decision)
        return True

    def _renew(self, decision: Decision) -> None:
        """Put a record in the place of the newest one that says the same with other figures."""
        ring = self._by_object.get(decision.object)
        last = ring[-1] if ring else None
        if ring is None or last is None or last.component != decision.component:
            return
        if DIGITS.sub("", last.verdict) != DIGITS.sub("", decision.verdict):
            return
        before = (last.verdict, last.steps, last.binding, last.would_change_if)
        after = (decision.verdict, decision.steps, decision.binding, decision.would_change_if)
        if before != after:
            ring[-1] = decision

    def signature_of(self, component: str, object: str) -> Hashable:
        """Return the signature of the component's last decision about an object, or None."""
        return self._signatures.get(component, {}).get(object)

    def forget(self, component: str, object: str | None = None) -> None:
        """Forget the last signature for one object, or for all objects of a component.

        The records stay.
        """
        if object is None:
            self._signatures.pop(component, None)
        else:
            self._signatures.get(component, {}).pop(object, None)

    def of(self, object: str) -> list[Decision]:
        """Return all kept decisions about one object, oldest first."""
        return list(self._by_object.get(object, ()))

    def latest(self, object: str) -> Decision | None:
        """Return the newest decision about one object, or None."""
        ring = self._by_object.get(object)
        return ring[-1] if ring else None

    def objects(self) -> list[str]:
        """Return the objects with at least one kept decision, sorted."""
        return sorted(self._by_object)

    def since(self, cursor: int = 0, object: str | None = None) -> tuple[list[Decision], int]:
        """Return the decisions after a cursor (0: all kept), and the cursor for the next call."""
        rows: Iterable[tuple[int, Decision]] = list(self._all)
        decisions = [
            d for serial, d in rows if serial > cursor and (object is None or d.object == object)
        ]
        return decisions, self._serial
