"""`kubectl drain`: empty a node politely, pod by pod, with the consent of the budgets.

First the node is cordoned. Then kubectl sorts its pods: those of DaemonSets are left alone, those
that nobody would make again, or that would lose data, need a word of the user. If one pod stands in
the way, none is touched. The others are evicted; a refusal (429) is tried again every 5 s, and
kubectl waits until each pod is gone.

Ours keeps kubectl's rules, order and words. It leaves out: label and pod selectors, dry runs.

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

from kubesim.apiserver import KubeAPI
from kubesim.client import retry_on_conflict
from kubesim.clock.base import Clock
from kubesim.errors import NotFound, StatusError, TooManyRequests
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_finished

RETRY_SECONDS = 5.0  # between two attempts to evict a pod that a budget protects
TIMEOUT_SECONDS = 600.0  # kubectl waits for ever; a lesson has to end
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

DAEMON_FATAL = "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
DAEMON_WARNING = "ignoring DaemonSet-managed Pods"
STORAGE_FATAL = "Pods with local storage (use --delete-emptydir-data to override)"
BARE_FATAL = "Pods that declare no controller (use --force to override)"
BARE_WARNING = "deleting Pods that declare no controller"


# -- what is decided -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """What a drain is going to do with the pods of a node.

    Attributes:
        evict: the pods that have to go.
        skipped: keys of those that are left alone.
        warnings: what is done all the same, each with its pods.
        errors: what stands in the way; if there is one, nothing is evicted.
    """

    evict: tuple[Document, ...]
    skipped: tuple[str, ...]
    warnings: tuple[str, ...]
    errors: tuple[str, ...]


_Verdict = tuple[bool, str, bool]  # whether a pod goes, what is said, whether that is an error
_FINE: _Verdict = (True, "", False)


def drain_plan(
    pods: Sequence[Document],
    *,
    daemonset_exists: Callable[[str, str], bool] = lambda _namespace, _name: True,
    ignore_daemonsets: bool = True,
    delete_emptydir_data: bool = False,
    force: bool = False,
) -> DrainPlan:
    """Sort the pods of a node.

    Args:
        pods: those that are bound to it.
        daemonset_exists: says of (namespace, name) whether there is such a DaemonSet.
        ignore_daemonsets: leave their pods alone; False: they stand in the way.
        delete_emptydir_data: pods with emptyDir volumes may go, and their data with them.
        force: pods without a controller may go, and so may those of a DaemonSet that is gone.
    """

    def daemons(pod: Document) -> _Verdict:
        controller = meta.controller_of(pod)
        if controller is None or controller["kind"] != "DaemonSet" or is_finished(pod):
            return _FINE
        if not daemonset_exists(meta.namespace_of(pod), controller["name"]):
            return force, f'daemonsets.apps "{controller["name"]}" not found', not force
        if ignore_daemonsets:
            return False, DAEMON_WARNING, False
        return False, DAEMON_FATAL, True

    def mirrors(pod: Document) -> _Verdict:
        return MIRROR_ANNOTATION not in meta.annotations_of(pod), "", False

    def storage(pod: Document) -> _Verdict:
        if is_finished(pod) or not _has_local_storage(pod):
            return _FINE
        return (
            delete_emptydir_data,
            "" if delete_emptydir_data else STORAGE_FATAL,
            not (delete_emptydir_data),
        )

    def bare(pod: Document) -> _Verdict:
        if is_finished(pod) or meta.controller_of(pod) is not None:
            return _FINE
        return force, BARE_WARNING if force else BARE_FATAL, not force

    def judge(pod: Document) -> _Verdict:
        """The first filter that holds a pod back, else the word of the last: as kubectl has it."""
        verdict = _FINE
        for rule in (daemons, mirrors, storage, bare):
            verdict = rule(pod)
            if not verdict[0]:
                break
        return verdict

    judged = [(pod, *judge(pod)) for pod in pods]
    return DrainPlan(
        evict=tuple(pod for pod, goes, _, _ in judged if goes),
        skipped=tuple(meta.key_of(pod) for pod, goes, _, _ in judged if not goes),
        warnings=_grouped("{said}: {pods}", ((p, s) for p, _, s, bad in judged if s and not bad)),
        errors=_grouped("cannot delete {said}: {pods}", ((p, s) for p, _, s, bad in judged if bad)),
    )


def _grouped(text: str, said: Iterable[tuple[Document, str]]) -> tuple[str, ...]:
    by_text: dict[str, list[str]] = {}
    for pod, what in said:
        by_text.setdefault(what, []).append(meta.key_of(pod))
    return tuple(text.format(said=what, pods=", ".join(keys)) for what, keys in by_text.items())


def _has_local_storage(pod: Document) -> bool:
    return any("emptyDir" in volume for volume in (pod.get("spec") or {}).get("volumes") or ())


# -- the report ------------------------------------------------------------------------------------


@dataclass
class DrainReport:
    """What a drain did, in kubectl's words.

    Attributes:
        node: its name.
        lines: (simulated second, line) as kubectl would have printed them.
        evicted: keys of the pods that are gone.
        refusals: evictions that a budget refused, each of them tried again.
        refused: by key of the pod: how often, and the budget's last words.
        errors: why it did not end well; empty if it did.
    """

    node: str
    lines: list[tuple[float, str]] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    refusals: int = 0
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def drained(self) -> bool:
        """True if every pod that had to go is gone."""
        return not self.errors

    def __str__(self) -> str:
        return "\n".join(f"t={second:g}s  {line}" for second, line in self.lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


# -- doing it --------------------------------------------------------------------------------------


class Drain:
    """One drain of one node; run it from the driver, since it lets time pass.

    Args:
        api, clock: the cluster's.
        node: name of the node.
        grace_period_seconds: how long each pod may take to stop; None: what it says itself.
        timeout_seconds: after so long it gives up.
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
        """Evict what the plan says, and wait until it is gone."""
        node = self.report.node
        if plan.warnings:
            self._say(f"Warning: {'; '.join(plan.warnings)}")
        if plan.errors:
            said = ", ".join(plan.errors)
            self._fail(f'unable to drain node "{node}" due to error: {said}')
            return self.report
        begun = self._clock.now()
        asking = {meta.key_of(pod): pod for pod in plan.evict}
        going: dict[str, Document] = {}
        again = begun
        while asking or going:
            if asking and self._clock.now() >= again:
                asking, going = self._ask(asking, going)
                again = self._clock.now() + RETRY_SECONDS
            left = begun + self._timeout - self._clock.now()
            if left <= 0:
                self._give_up(asking, going)
                return self.report
            wait = min(left, again - self._clock.now()) if asking else left
            self._await_any(list(going.values()), wait)
            going = {key: pod for key, pod in going.items() if not self._tell_if_gone(key, pod)}
        if not self.report.errors:
            self._say(f"node/{node} drained")
        return self.report

    def _ask(
        self, asking: dict[str, Document], going: dict[str, Document]
    ) -> tuple[dict[str, Document], dict[str, Document]]:
        """Try to evict each; returns those to ask for again, and those that go."""
        refused: dict[str, Document] = {}
        going = dict(going)
        for key, pod in asking.items():
            name, namespace = meta.name_of(pod), meta.namespace_of(pod)
            self._say(f"evicting pod {key}")
            try:
                self._api.evict(name, namespace, grace_period_seconds=self._grace)
            except TooManyRequests as error:
                refused[key] = pod
                self.report.refusals += 1
                times, _ = self.report.refused.get(key, (0, ""))
                why = error.causes[0].message if error.causes else error.message
                self.report.refused[key] = times + 1, why
                self._say(
                    f'error when evicting pods/"{name}" -n "{namespace}" (will retry after 5s): '
                    f"{error.message}"
                )
            except NotFound:
                going[key] = pod  # gone already
            except StatusError as error:
                said = f'error when evicting pods/"{name}" -n "{namespace}": {error.message}'
                self._fail(said)
            else:
                going[key] = pod
        return refused, going

    def _await_any(self, pods: list[Document], seconds: float) -> None:
        """Let time pass until one of the pods is gone, at most so long."""
        self._clock.wait_until(lambda: any(map(self._is_gone, pods)), seconds)

    def _is_gone(self, pod: Document) -> bool:
        known = self._api.peek("Pod", meta.name_of(pod), meta.namespace_of(pod))
        return known is None or meta.uid_of(known) != meta.uid_of(pod)

    def _tell_if_gone(self, key: str, pod: Document) -> bool:
        gone = self._is_gone(pod)
        if gone:
            self.report.evicted.append(key)
            self._say(f"pod/{meta.name_of(pod)} evicted")
        return gone

    def _give_up(self, asking: dict[str, Document], going: dict[str, Document]) -> None:
        reached = f"global timeout reached: {self._timeout:g}s"
        for pod in asking.values():
            place = f'pods/"{meta.name_of(pod)}" -n "{meta.namespace_of(pod)}"'
            self._fail(f"error when evicting {place}: {reached}")
        for pod in going.values():
            name, namespace = meta.name_of(pod), meta.namespace_of(pod)
            place = f'pod "{name}" in namespace "{namespace}"'
            self._fail(f"error when waiting for {place} to terminate: {reached}")

    def _say(self, line: str) -> None:
        self.report.lines.append((self._clock.now(), line))

    def _fail(self, line: str) -> None:
        self.report.errors.append(line)
        self._say(f"error: {line}")


def cordon(api: KubeAPI, name: str, *, unschedulable: bool) -> bool:
    """Set or clear spec.unschedulable; False if it was so already.

    Raises:
        NotFound: no such node.
    """

    def write() -> bool:
        node = api.get("Node", name)
        if bool(node["spec"].get("unschedulable")) is unschedulable:
            return False
        node["spec"].pop("unschedulable", None)
        if unschedulable:
            node["spec"]["unschedulable"] = True
        api.update(node)
        return True

    return retry_on_conflict(write)
