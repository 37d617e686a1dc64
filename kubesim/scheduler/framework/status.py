"""Status: the answer of a plug-in, with a code, reasons, and the plug-in's name.

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
    """The kinds of answers."""

    SUCCESS = "success"
    ERROR = "error"  # something failed: the attempt ends, the pod is retried after a back-off
    UNSCHEDULABLE = "unschedulable"  # not now; removing pods might help
    UNRESOLVABLE = "unresolvable"  # no change of other pods helps
    WAIT = "wait"  # Permit: not yet
    SKIP = "skip"  # the plug-in does not concern this pod


@dataclass(frozen=True, slots=True)
class Status:
    """The answer of a plug-in.

    Attributes:
        code: success, or the kind of refusal.
        reasons: why not, in kube-scheduler's wording.
        plugin: name of the plug-in; the framework fills it in.
        nodes: PreFilter: names of the only nodes to consider; None: all.
        timeout_seconds: Permit: how long to wait at most, in simulated seconds.
        nominated: PostFilter: the node that will have room; "" clears an earlier nomination, None
            keeps it.
        help: what would end a refusal, for explanations; kube-scheduler does not say it.
    """

    code: Code = Code.SUCCESS
    reasons: tuple[str, ...] = ()
    plugin: str = ""
    nodes: frozenset[str] | None = None
    timeout_seconds: float = 0.0
    nominated: str | None = None
    help: str = ""

    @property
    def ok(self) -> bool:
        """Whether the code is success."""
        return self.code is Code.SUCCESS

    @property
    def rejected(self) -> bool:
        """Whether this is a refusal, and not an error, Skip or Wait."""
        return self.code in (Code.UNSCHEDULABLE, Code.UNRESOLVABLE)

    @property
    def message(self) -> str:
        """The reasons, joined."""
        return ", ".join(self.reasons)

    def by(self, plugin: str) -> Status:
        """Return the same status with that plug-in's name."""
        return replace(self, plugin=plugin)

    def with_help(self, help: str) -> Status:
        """Return the same refusal, and what would end it."""
        return replace(self, help=help)

    @classmethod
    def unschedulable(cls, *reasons: str) -> Status:
        """Refuse; removing pods might help."""
        return cls(Code.UNSCHEDULABLE, reasons)

    @classmethod
    def unresolvable(cls, *reasons: str) -> Status:
        """Refuse; no change of other pods helps."""
        return cls(Code.UNRESOLVABLE, reasons)

    @classmethod
    def error(cls, *reasons: str) -> Status:
        """Report that something failed."""
        return cls(Code.ERROR, reasons)

    @classmethod
    def wait(cls, seconds: float) -> Status:
        """Permit: let the pod wait until it is allowed, at most that many simulated seconds."""
        return cls(Code.WAIT, timeout_seconds=seconds)

    @classmethod
    def only(cls, nodes: Iterable[str]) -> Status:
        """PreFilter: succeed, and limit the attempt to these nodes."""
        return cls(nodes=frozenset(nodes))


SUCCESS = Status()
SKIP = Status(Code.SKIP)


class PluginFailed(Exception):
    """A plug-in raised an exception or broke the framework's rules; the pod is retried later."""
