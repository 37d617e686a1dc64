"""The second half of an attempt: Reserve, Permit, PreBind, Bind, PostBind.

The pod is assumed on its node while this goes on, so the next pod's attempt need not wait for it.
Whatever fails after Reserve is undone in reverse order, and the pod is released.

Source: pkg/scheduler/schedule_one.go (bindingCycle), framework/runtime/waiting_pods_map.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from kubesim.clock.base import Timer, Worker
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.quantity import format_duration
from kubesim.scheduler.framework.calls import call_with_state
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.profile import Enabled
from kubesim.scheduler.framework.runtime import Framework, as_status
from kubesim.scheduler.framework.status import SUCCESS, Code, PluginFailed, Status
from kubesim.scheduler.plugins.defaultbinder import DefaultBinder

MAX_PERMIT_SECONDS = 15 * 60.0  # maxTimeout of a Permit plug-in's wait


@dataclass
class Placement:
    """A pod on its way to a node.

    Attributes:
        pod, node: who, and where.
        state, cycle: of its attempt.
        waits_for: Permit plug-ins that have not given their word yet, with the timers.
    """

    pod: Document
    node: str
    state: CycleState
    cycle: Cycle
    waits_for: dict[str, Timer] = field(default_factory=dict)
    timeouts: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """``namespace/name`` of the pod."""
        return meta.key_of(self.pod)


Bound = Callable[[Placement], None]
Failed = Callable[[Placement, Status | None, Exception | None], None]
"""failed(placement, refusal, error): one of the two is given."""


class BindingCycle:
    """Brings assumed pods to their nodes.

    Args:
        framework: the plug-ins.
        worker: the scheduler's lane, for timeouts.
        bound: told of success.
        failed: told of a refusal (a status) or an error, after everything was undone.
        complain: told of failures that change nothing any more (in Unreserve and PostBind).
    """

    def __init__(
        self,
        framework: Framework,
        worker: Worker,
        bound: Bound,
        failed: Failed,
        complain: Callable[[Exception], None],
    ) -> None:
        self._framework = framework
        self._worker = worker
        self._bound, self._failed, self._complain = bound, failed, complain
        self._binds: Sequence[Enabled] = framework.binds or (Enabled(DefaultBinder()),)
        self.waiting: dict[str, Placement] = {}

    def attach(self, handle: object) -> None:
        """Give the handle to the binder, if it is not one of the profile's."""
        for enabled in self._binds:
            if isinstance(enabled.plugin, DefaultBinder):
                enabled.plugin.attach(handle)

    def begin(self, placement: Placement) -> None:
        """Reserve and Permit; goes on to the end unless somebody wants to wait."""
        try:
            refusal = self._run("reserve", self._framework.reserves, placement)
            if refusal is None:
                refusal = self._permit(placement)
        except PluginFailed as error:
            self._undo(placement, None, error)
            return
        if refusal is not None:
            self._undo(placement, refusal, None)
        elif placement.waits_for:
            self.waiting[placement.key] = placement
        else:
            self._bind(placement)

    # -- Permit -----------------------------------------------------------------------------------

    def _permit(self, placement: Placement) -> Status | None:
        for enabled in self._framework.permits:
            status = self._call(enabled, "permit", placement)
            if status.rejected:
                self._cancel(placement)
                return status.by(enabled.name)
            if status.code is Code.WAIT:
                seconds = min(status.timeout_seconds, MAX_PERMIT_SECONDS)
                placement.timeouts[enabled.name] = seconds
                placement.waits_for[enabled.name] = self._worker.call_later(
                    seconds, partial(self._timeout, placement, enabled.name)
                )
        return None

    def _timeout(self, placement: Placement, plugin: str) -> None:
        if self.waiting.get(placement.key) is placement:
            waited = format_duration(placement.timeouts[plugin])
            said = f"rejected due to timeout after waiting {waited} at plugin {plugin}"
            self.reject(placement.key, said, plugin)

    def allow(self, key: str, plugin: str) -> bool:
        """A Permit plug-in gives its word; the last one lets the pod go on. False: not waiting."""
        placement = self.waiting.get(key)
        timer = placement.waits_for.pop(plugin, None) if placement is not None else None
        if placement is None or timer is None:
            return False
        timer.cancel()
        if not placement.waits_for:
            del self.waiting[key]
            self._worker.call_soon(lambda: self._bind(placement))
        return True

    def reject(self, key: str, reason: str, plugin: str = "") -> bool:
        """A pod that waits is not to be bound after all; False: it does not wait."""
        placement = self.waiting.pop(key, None)
        if placement is None:
            return False
        self._cancel(placement)
        self._undo(placement, Status.unschedulable(reason).by(plugin), None)
        return True

    def _cancel(self, placement: Placement) -> None:
        for timer in placement.waits_for.values():
            timer.cancel()
        placement.waits_for.clear()

    # -- Bind -------------------------------------------------------------------------------------

    def _bind(self, placement: Placement) -> None:
        try:
            refusal = self._run("pre_bind", self._framework.pre_binds, placement)
            if refusal is None:
                for enabled in self._binds:
                    status = self._call(enabled, "bind", placement)
                    if status.code is Code.SKIP:
                        continue
                    refusal = status.by(enabled.name) if status.rejected else None
                    break
                else:
                    raise PluginFailed("no Bind plugin took the pod")
        except PluginFailed as error:
            self._undo(placement, None, error)
            return
        if refusal is not None:
            self._undo(placement, refusal, None)
            return
        self._bound(placement)
        for enabled in self._framework.post_binds:
            self._try(enabled, "post_bind", placement)

    # -- helpers ----------------------------------------------------------------------------------

    def _run(self, method: str, plugins: Sequence[Enabled], placement: Placement) -> Status | None:
        """The first refusal, or None."""
        for enabled in plugins:
            status = self._call(enabled, method, placement)
            if status.rejected:
                return status.by(enabled.name)
        return None

    def _call(self, enabled: Enabled, method: str, placement: Placement) -> Status:
        answer = call_with_state(enabled, method, 3, placement.pod, placement.node, placement.state)
        return SUCCESS if method == "post_bind" else as_status(enabled, method, answer)

    def _try(self, enabled: Enabled, method: str, placement: Placement) -> None:
        """A method whose failure holds nobody up."""
        try:
            self._call(enabled, method, placement)
        except PluginFailed as error:
            self._complain(error)

    def _undo(self, placement: Placement, refusal: Status | None, error: Exception | None) -> None:
        """Unreserve in reverse order, then tell."""
        for enabled in reversed(self._framework.reserves):
            if hasattr(enabled.plugin, "unreserve"):
                self._try(enabled, "unreserve", placement)
        self._failed(placement, refusal, error)
