"""`kubectl drain`: evict the pods of a node as far as disruption budgets allow it.

First the node is cordoned. Then kubectl sorts its pods: it ignores pods of DaemonSets; pods without
a controller and pods with local data need the user's consent. If one pod blocks the drain, no pod
is evicted. Otherwise all are evicted; an eviction that a budget refuses (429) is retried every 5 s,
and kubectl waits until each pod is deleted.

Ours keeps kubectl's rules, order and messages. It leaves out: label and pod selectors, dry runs.

>>> bare = {"metadata": {"name": "a", "namespace": "default"}, "spec": {}, "status": {}}
>>> drain_plan([bare]).errors
('cannot delete Pods that declare no controller (use --force to override): default/a',)
>>> drain_plan([bare], force=True).warnings
('deleting Pods that declare no controller: default/a',)

Source: k8s.io/kubectl/pkg/drain (filters.go, drain.go), pkg/cmd/drain/drain.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.client import retry_on_conflict
from kubesim.clock.base import Clock
from kubesim.errors import NotFound, StatusError, TooManyRequests
from kubesim.objects import meta
from kubesim.objects.kindnames import NODE, POD
from kubesim.objects.pods import is_finished

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

RETRY_SECONDS = 5.0  # between two attempts to evict a pod that a budget protects
TIMEOUT_SECONDS = 600.0  # kubectl waits without limit; a lesson has to end
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

DAEMON_FATAL = "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
DAEMON_WARNING = "ignoring DaemonSet-managed Pods"
STORAGE_FATAL = "Pods with local storage (use --delete-emptydir-data to override)"
BARE_FATAL = "Pods that declare no controller (use --force to override)"
BARE_WARNING = "deleting Pods that declare no controller"


# -- the plan -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """What a drain will do with the pods of a node.

    Attributes:
        evict: the pods to evict.
        skipped: keys of the pods that stay.
        warnings: messages about pods that are evicted or ignored nevertheless.
        errors: messages about pods that block the drain; with one of them, no pod is evicted.
    """

    evict: tuple[PodDict, ...]
    skipped: tuple[str, ...]
    warnings: tuple[str, ...]
    errors: tuple[str, ...]


_Filtered = tuple[bool, str, bool]  # evict the pod?, message, is the message an error?
_EVICT: _Filtered = (True, "", False)


def drain_plan(
    pods: Sequence[PodDict],
    *,
    daemonset_exists: Callable[[str, str], bool] = lambda _namespace, _name: True,
    ignore_daemonsets: bool = True,
    delete_emptydir_data: bool = False,
    force: bool = False,
) -> DrainPlan:
    """Decide which pods of a node to evict.

    Args:
        pods: the pods that are bound to the node.
        daemonset_exists: called as daemonset_exists(namespace, name).
        ignore_daemonsets: leave pods of DaemonSets running; False: they block the drain.
        delete_emptydir_data: evict pods with emptyDir volumes; their data is lost.
        force: evict pods without a controller, and pods of a deleted DaemonSet.
    """

    def daemons(pod: PodDict) -> _Filtered:
        controller = meta.controller_of(pod)
        if controller is None or controller["kind"] != "DaemonSet" or is_finished(pod):
            return _EVICT
        if not daemonset_exists(meta.namespace_of(pod), controller["name"]):
            return force, f'daemonsets.apps "{controller["name"]}" not found', not force
        if ignore_daemonsets:
            return False, DAEMON_WARNING, False
        return False, DAEMON_FATAL, True

    def mirrors(pod: PodDict) -> _Filtered:
        return MIRROR_ANNOTATION not in meta.annotations_of(pod), "", False

    def storage(pod: PodDict) -> _Filtered:
        if is_finished(pod) or not _has_local_storage(pod):
            return _EVICT
        return (
            delete_emptydir_data,
            "" if delete_emptydir_data else STORAGE_FATAL,
            not (delete_emptydir_data),
        )

    def bare(pod: PodDict) -> _Filtered:
        if is_finished(pod) or meta.controller_of(pod) is not None:
            return _EVICT
        return force, BARE_WARNING if force else BARE_FATAL, not force

    def filtered(pod: PodDict) -> _Filtered:
        """Return the first filter's result that keeps the pod, else the last one's, as kubectl."""
        result = _EVICT
        for rule in (daemons, mirrors, storage, bare):
            result = rule(pod)
            if not result[0]:
                break
        return result

    results = [(pod, *filtered(pod)) for pod in pods]
    warnings = [(pod, message) for pod, _, message, bad in results if message and not bad]
    errors = [(pod, message) for pod, _, message, bad in results if bad]
    return DrainPlan(
        evict=tuple(pod for pod, evict, _, _ in results if evict),
        skipped=tuple(meta.key_of(pod) for pod, evict, _, _ in results if not evict),
        warnings=_grouped("{message}: {pods}", warnings),
        errors=_grouped("cannot delete {message}: {pods}", errors),
    )


def _grouped(template: str, messages: Iterable[tuple[PodDict, str]]) -> tuple[str, ...]:
    """Return one line for each message, with the keys of its pods."""
    keys: dict[str, list[str]] = {}
    for pod, message in messages:
        keys.setdefault(message, []).append(meta.key_of(pod))
    return tuple(
        template.format(message=message, pods=", ".join(pods)) for message, pods in keys.items()
    )


def _has_local_storage(pod: PodDict) -> bool:
    return any("emptyDir" in volume for volume in (pod.get("spec") or {}).get("volumes") or ())


# -- the report ------------------------------------------------------------------------------------


@dataclass
class DrainReport:
    """What a drain did, in kubectl's words.

    Attributes:
        node: name of the node.
        lines: (simulated second, line) as kubectl would have printed them.
        evicted: keys of the pods that were evicted and deleted.
        refusals: number of evictions that a budget refused; each was retried.
        refused: by key of the pod: number of refusals, and the last message of the budget.
        errors: why the drain failed; empty if it succeeded.
    """

    node: str
    lines: list[tuple[float, str]] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    refusals: int = 0
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def drained(self) -> bool:
        """True if all pods to evict are deleted."""
        return not self.errors

    def __str__(self) -> str:
        return "\n".join(f"t={second:g}s  {line}" for second, line in self.lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


# -- the drain -------------------------------------------------------------------------------------


class Drain:
    """One drain of one node. Run it outside of workers, since it lets time pass.

    Args:
        api, clock: of the cluster.
        node: name of the node.
        grace_period_seconds: seconds that each pod has to stop; None: the pod's own.
        timeout_seconds: seconds after which the drain fails.
    """

    def __init__(
        self,
        api: KubeAPI,
        clock: Clock,
        node: str,
        *,
        grace_period_seconds: int | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._api = api
        self._clock = clock
        self._grace = grace_period_seconds
        self._timeout = timeout_seconds
        self.report = DrainReport(node)

    def run(self, plan: DrainPlan) -> DrainReport:
        """Evict the pods of the plan, and wait until they are deleted."""
        node = self.report.node
        if plan.warnings:
            self._say(f"Warning: {'; '.join(plan.warnings)}")
        if plan.errors:
            errors = ", ".join(plan.errors)
            self._fail(f'unable to drain node "{node}" due to error: {errors}')
            return self.report
        begin = self._clock.now()
        pending = {meta.key_of(pod): pod for pod in plan.evict}
        evicted: dict[str, PodDict] = {}
        retry_at = begin
        while pending or evicted:
            if pending and self._clock.now() >= retry_at:
                pending, evicted = self._evict(pending, evicted)
                retry_at = self._clock.now() + RETRY_SECONDS
            remaining = begin + self._timeout - self._clock.now()
            if remaining <= 0:
                self._time_out(pending, evicted)
                return self.report
            wait = min(remaining, retry_at - self._clock.now()) if pending else remaining
            self._wait_for_any(list(evicted.values()), wait)
            evicted = {
                key: pod for key, pod in evicted.items() if not self._report_if_deleted(key, pod)
            }
        if not self.report.errors:
            self._say(f"node/{node} drained")
        return self.report

    def _evict(
        self, pending: dict[str, PodDict], evicted: dict[str, PodDict]
    ) -> tuple[dict[str, PodDict], dict[str, PodDict]]:
        """Evict each pending pod; return the pods to retry, and the evicted ones."""
        refused: dict[str, PodDict] = {}
        evicted = dict(evicted)
        for key, pod in pending.items():
            name, namespace = meta.name_of(pod), meta.namespace_of(pod)
            self._say(f"evicting pod {key}")
            try:
                self._api.evict(name, namespace, grace_period_seconds=self._grace)
            except TooManyRequests as error:
                refused[key] = pod
                self.report.refusals += 1
                times, _ = self.report.refused.get(key, (0, ""))
                reason = error.causes[0].message if error.causes else error.message
                self.report.refused[key] = times + 1, reason
                self._say(
                    f'error when evicting pods/"{name}" -n "{namespace}" (will retry after 5s): '
                    f"{error.message}"
                )
            except NotFound:
                evicted[key] = pod  # deleted already
            except StatusError as error:
                message = f'error when evicting pods/"{name}" -n "{namespace}": {error.message}'
                self._fail(message)
            else:
                evicted[key] = pod
        return refused, evicted

    def _wait_for_any(self, pods: list[PodDict], seconds: float) -> None:
        """Let time pass until one of the pods is deleted, at most `seconds`."""
        self._clock.wait_until(lambda: any(map(self._is_deleted, pods)), seconds)

    def _is_deleted(self, pod: PodDict) -> bool:
        current = self._api.peek(POD, meta.name_of(pod), meta.namespace_of(pod))
        return current is None or meta.uid_of(current) != meta.uid_of(pod)

    def _report_if_deleted(self, key: str, pod: PodDict) -> bool:
        deleted = self._is_deleted(pod)
        if deleted:
            self.report.evicted.append(key)
            self._say(f"pod/{meta.name_of(pod)} evicted")
        return deleted

    def _time_out(self, pending: dict[str, PodDict], evicted: dict[str, PodDict]) -> None:
        reached = f"global timeout reached: {self._timeout:g}s"
        for pod in pending.values():
            place = f'pods/"{meta.name_of(pod)}" -n "{meta.namespace_of(pod)}"'
            self._fail(f"error when evicting {place}: {reached}")
        for pod in evicted.values():
            name, namespace = meta.name_of(pod), meta.namespace_of(pod)
            place = f'pod "{name}" in namespace "{namespace}"'
            self._fail(f"error when waiting for {place} to terminate: {reached}")

    def _say(self, line: str) -> None:
        self.report.lines.append((self._clock.now(), line))

    def _fail(self, line: str) -> None:
        self.report.errors.append(line)
        self._say(f"error: {line}")


def cordon(api: KubeAPI, name: str, *, unschedulable: bool) -> bool:
    """Set or clear spec.unschedulable; return False if nothing had to change.

    Args:
        api: the API server.
        name: of the node.
        unschedulable: the new value.

    Raises:
        NotFound: no such node.
    """

    def write() -> bool:
        node = api.get(NODE, name)
        if bool(node["spec"].get("unschedulable")) is unschedulable:
            return False
        node["spec"].pop("unschedulable", None)
        if unschedulable:
            node["spec"]["unschedulable"] = True
        api.update(node)
        return True

    return retry_on_conflict(write)
