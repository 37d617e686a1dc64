"""The binding cycle: Reserve, Permit, PreBind, Bind, PostBind.

The pod is assumed on its node in the meantime, so the next pod's attempt need not wait. After a
failure, Unreserve runs in reverse order and the pod is released.

Source: pkg/scheduler/schedule_one.go (bindingCycle), framework/runtime/waiting_pods_map.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from kubesim.clock.base import Timer, Worker
from kubesim.objects import meta
from kubesim.quantity import format_duration
from kubesim.scheduler.framework.calls import PluginMethod
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.handle import Handle
from kubesim.scheduler.framework.profile import Enabled
from kubesim.scheduler.framework.runtime import Framework, as_status
from kubesim.scheduler.framework.status import SUCCESS, Code, PluginFailed, Status
from kubesim.scheduler.plugins.defaultbinder import DefaultBinder

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

MAX_PERMIT_SECONDS = 15 * 60.0  # maxTimeout of a Permit plug-in's wait


@dataclass
class Placement:
    """A pod that is being bound to a node.

    Attributes:
        pod: the Pod document.
        node: name of the node.
        state: of the attempt.
        cycle: results of the attempt.
        waits_for: plug-ins that have not allowed the pod yet -> timer of the time-out.
        in_pre_bind: Reserve and Permit are done.
        prepared: PreBind plug-ins that have succeeded.
        timeouts: Permit plug-in -> time-out in simulated seconds.
    """

    pod: PodDict
    node: str
    state: CycleState
    cycle: Cycle
    waits_for: dict[str, Timer] = field(default_factory=dict)
    timeouts: dict[str, float] = field(default_factory=dict)
    in_pre_bind: bool = False
    prepared: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        """``namespace/name`` of the pod."""
        return meta.key_of(self.pod)


Bound: TypeAlias = Callable[[Placement], None]
Failed: TypeAlias = Callable[[Placement, Status | None, Exception | None], None]
"""failed(placement, refusal, error): either the refusal or the error is given."""


class BindingCycle:
    """Binds assumed pods to their nodes.

    Args:
        framework: the plug-ins.
        worker: the scheduler's worker, for time-outs.
        bound: called after a success.
        failed: called after a refusal or an error, once Unreserve has run.
        complain: called with errors that no longer change the outcome (in Unreserve and PostBind).
        waits: called with the status of a PreBind plug-in that waits.

    Attributes:
        waiting: pods that wait in Permit or PreBind, by key.
    """

    def __init__(
        self,
        framework: Framework,
        worker: Worker,
        bound: Bound,
        failed: Failed,
        complain: Callable[[Exception], None],
        waits: Callable[[Placement, Status], None],
    ) -> None:
        self._worker = worker
        self._bound, self._failed, self._complain = bound, failed, complain
        self._waits = waits
        self._default_binders: list[DefaultBinder] = []
        binds: Sequence[Enabled] = framework.binds
        if not binds:
            binder = DefaultBinder()
            self._default_binders.append(binder)
            binds = (Enabled(binder),)
        self._reserves = _methods(framework.reserves, "reserve")
        self._unreserves = _methods(
            [e for e in reversed(framework.reserves) if hasattr(e.plugin, "unreserve")],
            "unreserve",
        )
        self._permits = _methods(framework.permits, "permit")
        self._pre_binds = _methods(framework.pre_binds, "pre_bind")
        self._binds = _methods(binds, "bind")
        self._post_binds = _methods(framework.post_binds, "post_bind")
        self.waiting: dict[str, Placement] = {}

    def attach(self, handle: Handle) -> None:
        """Pass the handle to the binder of a profile without a binder."""
        for binder in self._default_binders:
            binder.attach(handle)

    def begin(self, placement: Placement) -> None:
        """Run Reserve and Permit, and the rest unless a Permit plug-in wants to wait."""
        try:
            refusal = self._run(self._reserves, placement)
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
        for method in self._permits:
            status = self._call(method, placement)
            if status.rejected:
                self._cancel(placement)
                return status.by(method.name)
            if status.code is Code.WAIT:
                seconds = min(status.timeout_seconds, MAX_PERMIT_SECONDS)
                placement.timeouts[method.name] = seconds
                placement.waits_for[method.name] = self._worker.call_later(
                    seconds, partial(self._timeout, placement, method.name)
                )
        return None

    def _timeout(self, placement: Placement, plugin: str) -> None:
        if self.waiting.get(placement.key) is placement:
            waited = format_duration(placement.timeouts[plugin])
            reason = f"rejected due to timeout after waiting {waited} at plugin {plugin}"
            self.reject(placement.key, reason, plugin)

    def allow(self, key: str, plugin: str) -> bool:
        """Allow a waiting pod for one Permit plug-in; after the last one the binding goes on.

        Args:
            key: key of the pod.
            plugin: name of the Permit plug-in.

        Returns:
            Whether the pod waited for that plug-in.
        """
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
        """Reject a waiting pod.

        Args:
            key: key of the pod.
            reason: for the pod's status.
            plugin: name of the Permit plug-in.

        Returns:
            Whether the pod waited.
        """
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
        placement.in_pre_bind = True
        try:
            refusal = self._pre_bind(placement)
            if placement.waits_for:
                self.waiting[placement.key] = placement
                return
            if refusal is None:
                for method in self._binds:
                    status = self._call(method, placement)
                    if status.code is Code.SKIP:
                        continue
                    refusal = status.by(method.name) if status.rejected else None
                    break
                else:
                    raise PluginFailed("no Bind plugin took the pod")
        except PluginFailed as error:
            self._cancel(placement)
            self._undo(placement, None, error)
            return
        if refusal is not None:
            self._undo(placement, refusal, None)
            return
        self._bound(placement)
        for method in self._post_binds:
            self._try(method, placement)

    def _pre_bind(self, placement: Placement) -> Status | None:
        """Run PreBind; a plug-in that waits is asked again by `recheck`, the others are not."""
        for method in self._pre_binds:
            if method.name in placement.prepared:
                continue
            status = self._call(method, placement)
            if status.code is Code.WAIT:
                if method.name not in placement.waits_for:
                    placement.waits_for[method.name] = self._worker.call_later(
                        status.timeout_seconds,
                        partial(self._pre_bind_timeout, placement, method.name),
                    )
                    self._waits(placement, status.by(method.name))
                return None
            self._cancel(placement)
            if status.rejected:
                return status.by(method.name)
            placement.prepared.add(method.name)
        return None

    def recheck(self) -> None:
        """Ask the PreBind plug-ins again for which pods wait."""
        for placement in [p for p in self.waiting.values() if p.in_pre_bind]:
            del self.waiting[placement.key]
            self._bind(placement)

    def _pre_bind_timeout(self, placement: Placement, plugin: str) -> None:
        if self.waiting.pop(placement.key, None) is placement:
            self._cancel(placement)
            message = "binding volumes: context deadline exceeded"
            error = PluginFailed(f'running PreBind plugin "{plugin}": {message}')
            self._undo(placement, None, error)

    # -- helpers ----------------------------------------------------------------------------------

    def _run(self, methods: Sequence[PluginMethod], placement: Placement) -> Status | None:
        """Run an extension point; return the first refusal, or None."""
        for method in methods:
            status = self._call(method, placement)
            if status.rejected:
                return status.by(method.name)
        return None

    def _call(self, method: PluginMethod, placement: Placement) -> Status:
        answer = method(placement.pod, placement.node, placement.state)
        if method.method == "post_bind":
            return SUCCESS
        return as_status(method.enabled, method.method, answer)

    def _try(self, method: PluginMethod, placement: Placement) -> None:
        """Call a method whose failure does not change the outcome."""
        try:
            self._call(method, placement)
        except PluginFailed as error:
            self._complain(error)

    def _undo(self, placement: Placement, refusal: Status | None, error: Exception | None) -> None:
        """Run Unreserve in reverse order, then report the failure."""
        for method in self._unreserves:
            self._try(method, placement)
        self._failed(placement, refusal, error)


def _methods(plugins: Sequence[Enabled], method: str) -> list[PluginMethod]:
    """Look up one method of each plug-in; its arguments are pod, node name and state."""
    return [PluginMethod(enabled, method, 3) for enabled in plugins]
