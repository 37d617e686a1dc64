"""Lifecycle hooks: what a postStart or preStop handler does, and how long it takes.

Source: pkg/kubelet/lifecycle/handlers.go (Run, runSleepHandler, runHTTPHandler).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kubesim.apiserver.verbs.subresources import CommandResult

if TYPE_CHECKING:
    from kubesim.objects.types.containers import LifecycleHandlerDict

RunCommand = Callable[[Sequence[str]], CommandResult | None]
"""run(command) -> its result in the container; None: it is not simulated."""

_SLEEP = re.compile(r"\bsleep\s+(\d+(?:\.\d+)?)")


class HookResult(NamedTuple):
    """How a hook ended.

    Attributes:
        seconds: how long it took.
        ok: whether it succeeded.
    """

    seconds: float
    ok: bool


def run_hook(handler: LifecycleHandlerDict, run: RunCommand) -> HookResult:
    """Run a handler to its end.

    A command runs in the small shell; one that is not simulated, and an HTTP request, succeed.

    Args:
        handler: exec, httpGet or sleep.
        run: runs a command in the container.
    """
    command = (handler.get("exec") or {}).get("command")
    result = run(command) if command else None
    if result is None:
        return HookResult(handler_seconds(handler), True)
    return HookResult(result.seconds, result.code == 0)


def handler_seconds(handler: LifecycleHandlerDict) -> float:
    """Return how many seconds a handler takes whose command is not simulated.

    A ``sleep`` action states it; in a command, each ``sleep N`` counts; other commands and HTTP
    requests take no time.

    >>> handler_seconds({"sleep": {"seconds": 5}}), handler_seconds({"httpGet": {"port": 80}})
    (5.0, 0.0)
    """
    if sleep := handler.get("sleep"):
        return float(sleep.get("seconds") or 0)
    command = " ".join(map(str, (handler.get("exec") or {}).get("command") or ()))
    return sum((float(seconds) for seconds in _SLEEP.findall(command)), 0.0)
