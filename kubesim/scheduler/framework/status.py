"""What a plug-in answers: a status code, reasons, and who said so.

>>> no = Status.unschedulable("Insufficient cpu", "Insufficient memory")
>>> no.ok, no.rejected, no.message
(False, True, 'Insufficient cpu, Insufficient memory')

Source: pkg/scheduler/framework/interface.go (Code, Status).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum


class Code(Enum):
    """What an extension point says."""

    SUCCESS = "success"
    ERROR = "error"  # something broke: the attempt ends, the pod comes back after a back-off
    UNSCHEDULABLE = "unschedulable"  # not now; removing pods might help
    UNRESOLVABLE = "unresolvable"  # nothing that happens to other pods helps
    WAIT = "wait"  # Permit: not yet
    SKIP = "skip"  # the plug-in has nothing to say about this pod


@dataclass(frozen=True, slots=True)
class Status:
    """The answer of a plug-in.

    Attributes:
        code: success, or which kind of no.
        reasons: why not, in kube-scheduler's words.
        plugin: who said so; the framework fills it in.
        nodes: PreFilter: only these nodes need to be looked at; None: all.
        timeout_seconds: Permit: how long to wait at most.
        nominated: PostFilter: the node that will have room; "" clears an older one, None keeps it.
    """

    code: Code = Code.SUCCESS
    reasons: tuple[str, ...] = ()
    plugin: str = ""
    nodes: frozenset[str] | None = None
    timeout_seconds: float = 0.0
    nominated: str | None = None

    @property
    def ok(self) -> bool:
        """Success."""
        return self.code is Code.SUCCESS

    @property
    def rejected(self) -> bool:
        """A refusal, in contrast to an error, to Skip and to Wait."""
        return self.code in (Code.UNSCHEDULABLE, Code.UNRESOLVABLE)

    @property
    def message(self) -> str:
        """The reasons, joined."""
        return ", ".join(self.reasons)

    def by(self, plugin: str) -> Status:
        """The same, said by that plug-in."""
        return replace(self, plugin=plugin)

    @classmethod
    def unschedulable(cls, *reasons: str) -> Status:
        """No, for now."""
        return cls(Code.UNSCHEDULABLE, reasons)

    @classmethod
    def unresolvable(cls, *reasons: str) -> Status:
        """No, whatever becomes of other pods."""
        return cls(Code.UNRESOLVABLE, reasons)

    @classmethod
    def error(cls, *reasons: str) -> Status:
        """Something broke."""
        return cls(Code.ERROR, reasons)

    @classmethod
    def wait(cls, seconds: float) -> Status:
        """Permit: let the pod wait for somebody's word, at most so many simulated seconds."""
        return cls(Code.WAIT, timeout_seconds=seconds)

    @classmethod
    def only(cls, nodes: Iterable[str]) -> Status:
        """PreFilter: success, and only these nodes come into question."""
        return cls(nodes=frozenset(nodes))


SUCCESS = Status()
SKIP = Status(Code.SKIP)


class PluginFailed(Exception):
    """A plug-in raised, or broke the framework's rules; the pod is tried again later."""
