"""The machine behind a node, as `cluster.node(...)` uses it.

A node of a cluster exists once its kubelet has registered it. A machine that was switched on at
this instant, or a cluster that was just made, has not: whoever asks for the node waits for that.

Source: pkg/kubelet/kubelet_node_status.go (registerWithAPIServer).
"""

from __future__ import annotations

from typing import Protocol

from kubesim.clock.base import Clock

REGISTRATION_SECONDS = 60.0  # how long a new machine of a live cluster may take


class Machine(Protocol):
    """A machine that can be switched off and on: the kubelet of a node.

    Attributes:
        down: the power is off.
        registered: the kubelet has registered its Node since the power was switched on.
    """

    down: bool
    registered: bool

    def register(self) -> None:
        """Register the Node now."""

    def fail(self) -> None:
        """Cut the power."""

    def recover(self) -> None:
        """Restore the power."""


def register_first(machine: Machine | None, clock: Clock) -> None:
    """Let a machine that was switched on just now register its Node.

    Args:
        machine: of the node; None: nothing simulates it.
        clock: on the virtual one time need not pass.
    """
    if machine is None or machine.registered or machine.down:
        return
    if clock.virtual:
        machine.register()  # its own callback is due when time passes
    elif not clock.inside_worker():
        clock.wait_until(lambda: machine.registered, REGISTRATION_SECONDS)
