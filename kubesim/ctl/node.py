"""`cluster.node("node-2")`: one node, and what an administrator does with it.

`cordon`, `uncordon`, `taint`, `untaint` and `drain` do what kubectl does, as clients of the API
server; `fail` and `recover` cut and restore the power of the simulated machine. Printed, a node
looks like ``kubectl describe node``, with the newest decision about it.

>>> from kubesim import Cluster
>>> with Cluster(nodes=2, hpa=False) as cluster:
...     node = cluster.node("node-2")
...     print(node.cordon(), "-", node.taint("dedicated=gpu:NoExecute"))
...     cluster.sleep(1)
...     print(node.taints())
node/node-2 cordoned - node/node-2 tainted
['dedicated=gpu:NoExecute', 'node.kubernetes.io/unschedulable:NoSchedule']

Source: k8s.io/kubectl/pkg/cmd/{drain,taint}, pkg/describe/describe.go (describeNode).
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.arguments import (
    Check,
    check_arguments,
    flag,
    instance_of,
    optional,
    real_number,
    whole_number,
)
from kubesim.client import Decision, DecisionLog, RuleStep, retry_on_conflict
from kubesim.clock.base import Clock
from kubesim.ctl import describe_node
from kubesim.ctl.drain import (
    TIMEOUT_SECONDS,
    Drain,
    DrainReport,
    cordon,
    drain_plan,
)
from kubesim.ctl.machine import Machine, register_first
from kubesim.errors import BadRequest, NotFound
from kubesim.objects import meta
from kubesim.objects.kindnames import DAEMON_SET, NODE
from kubesim.objects.meta import is_condition_true
from kubesim.objects.taints import same_taint, taints_of
from kubesim.objects.wellknown import TAINT_EFFECTS
from kubesim.table import Table

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, TaintDict


TAINT: Mapping[str, Check] = {
    "text": instance_of(str, 'a string such as "key=value:NoSchedule"'),
    "overwrite": flag,
}
DRAIN: Mapping[str, Check] = {
    "grace_period_seconds": optional(whole_number(0)),
    "timeout_seconds": real_number,
    "ignore_daemonsets": flag,
    "delete_emptydir_data": flag,
    "force": flag,
}
DRAINING = "https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/"


class ClusterNode:
    """One node.

    Args:
        api, clock, decisions: of the cluster.
        name: for example ``node-2``.
        machine: the kubelet of the node, if this cluster simulates it.

    Raises:
        NotFound: there is neither a Node object nor a machine of that name.
    """

    def __init__(
        self,
        api: KubeAPI,
        clock: Clock,
        decisions: DecisionLog,
        name: str,
        machine: Machine | None = None,
    ) -> None:
        self.name = name
        self._api = api
        self._clock = clock
        self._decisions = decisions
        self._machine = machine
        if machine is None:
            api.get(NODE, name)

    # -- reading --------------------------------------------------------------------------------

    @property
    def document(self) -> NodeDict:
        """The current Node object, as a copy that you may change.

        Raises:
            NotFound: the object was deleted.
        """
        register_first(self._machine, self._clock)
        return self._api.get(NODE, self.name)

    @property
    def ready(self) -> bool:
        """Whether the condition Ready is True."""
        return is_condition_true(self.document, "Ready")

    @property
    def schedulable(self) -> bool:
        """Whether the node is not cordoned."""
        return not self.document["spec"].get("unschedulable")

    def taints(self) -> list[str]:
        """Return the taints as kubectl writes them: ``key=value:Effect``."""
        return list(map(describe_node.taint_text, taints_of(self.document)))

    def conditions(self) -> Table:
        """Return the conditions: type, status, last transition, reason, message."""
        return describe_node.conditions(self.document)

    def pods(self) -> Table:
        """Return the pods that are bound to the node: status and requests."""
        return describe_node.pods(self._api, self.name)

    def allocated(self) -> Table:
        """Return what the pods request, and what is allocatable."""
        return describe_node.allocated(self._api, self.document)

    def events(self) -> Table:
        """Return the Events about the node, by time."""
        return describe_node.events(self._api, self.name)

    # -- what kubectl does ----------------------------------------------------------------------

    def cordon(self) -> str:
        """Mark the node unschedulable: no further pod is placed on it."""
        register_first(self._machine, self._clock)
        done = cordon(self._api, self.name, unschedulable=True)
        return f"node/{self.name} {'' if done else 'already '}cordoned"

    def uncordon(self) -> str:
        """Mark the node schedulable."""
        register_first(self._machine, self._clock)
        done = cordon(self._api, self.name, unschedulable=False)
        return f"node/{self.name} {'' if done else 'already '}uncordoned"

    def taint(self, text: str, *, overwrite: bool = False) -> str:
        """Set a taint.

        Args:
            text: ``key=value:Effect`` or ``key:Effect``.
            overwrite: replace a taint of the same key and effect.

        Raises:
            BadRequest: the taint has another form, or exists and `overwrite` is False.
        """
        check_arguments(TAINT, {"text": text, "overwrite": overwrite})
        new = parse_taint(text)

        def write() -> None:
            node = self.document
            old = taints_of(node)
            if not overwrite and any(same_taint(taint, new) for taint in old):
                raise BadRequest(
                    f"node {self.name} already has {new['key']} taint(s) with same effect(s) and "
                    "--overwrite is false",
                    hint="write overwrite=True",
                )
            node["spec"]["taints"] = [taint for taint in old if not same_taint(taint, new)] + [new]
            self._api.update(node)

        retry_on_conflict(write)
        return f"node/{self.name} tainted"

    def untaint(self, text: str) -> str:
        """Remove taints: ``key`` for all effects, ``key:Effect`` for one.

        Raises:
            BadRequest: there is no such taint.
        """
        check_arguments(TAINT, {"text": text})
        pattern, _, effect = text.removesuffix("-").partition(":")
        key = pattern.partition("=")[0]

        def write() -> None:
            node = self.document
            old = taints_of(node)
            remaining = [t for t in old if t["key"] != key or (effect and t["effect"] != effect)]
            if remaining == old:
                raise BadRequest(f'taint "{text.removesuffix("-")}" not found')
            node["spec"]["taints"] = remaining
            self._api.update(node)

        retry_on_conflict(write)
        return f"node/{self.name} untainted"

    def drain(
        self,
        grace_period_seconds: int | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        ignore_daemonsets: bool = True,
        delete_emptydir_data: bool = False,
        force: bool = False,
    ) -> DrainReport:
        """Cordon the node and evict its pods; simulated time passes until they are deleted.

        Args:
            grace_period_seconds: seconds that each pod has to stop; None: the pod's own.
            timeout_seconds: seconds after which the drain fails (kubectl has no limit).
            ignore_daemonsets: leave pods of DaemonSets running; False: they block the drain.
            delete_emptydir_data: evict pods with emptyDir volumes; their data is lost.
            force: evict pods without a controller, which are not created again.

        Returns:
            What happened, in kubectl's words; `drained` says whether it succeeded.

        Raises:
            BadRequest: an argument of another type.
            NotFound: no such node.
            ClockError: called from a worker.
        """
        options: dict[str, object] = {
            "grace_period_seconds": grace_period_seconds,
            "timeout_seconds": timeout_seconds,
            "ignore_daemonsets": ignore_daemonsets,
            "delete_emptydir_data": delete_emptydir_data,
            "force": force,
        }
        check_arguments(DRAIN, options)
        run = Drain(
            self._api,
            self._clock,
            self.name,
            grace_period_seconds=grace_period_seconds,
            timeout_seconds=timeout_seconds,
        )
        run.report.lines.append((self._clock.now(), self.cordon()))
        pods = describe_node.pods_on(self._api, self.name)
        plan = drain_plan(
            pods,
            daemonset_exists=lambda ns, name: self._api.peek(DAEMON_SET, name, ns) is not None,
            ignore_daemonsets=ignore_daemonsets,
            delete_emptydir_data=delete_emptydir_data,
            force=force,
        )
        report = run.run(plan)
        self._record(report, len(pods), len(plan.skipped))
        return report

    # -- power ---------------------------------------------------------------------------------

    def fail(self) -> None:
        """Cut the power: heartbeats end and pods stop; the API server is not informed.

        Raises:
            BadRequest: the node is not simulated.
        """
        self._powered().fail()

    def recover(self) -> None:
        """Restore the power: the kubelet starts, reports, and runs its pods again.

        Raises:
            BadRequest: the node is not simulated.
        """
        self._powered().recover()

    def _powered(self) -> Machine:
        if self._machine is None:
            hint = "only the nodes of a Cluster, and those of add_node(), have a kubelet"
            raise BadRequest(f"node {self.name} is not simulated (it has no kubelet)", hint=hint)
        return self._machine

    # -- decisions ------------------------------------------------------------------------------

    def _record(self, report: DrainReport, pods: int, skipped: int) -> None:
        """Record a decision about the node, and one about each pod."""
        figures = {
            "pods": pods,
            "evicted": len(report.evicted),
            "left_alone": skipped,
            "refusals": report.refusals,
        }
        verdict = f"{self.name} is drained" if report.drained else f"{self.name} is not drained"
        binding = report.errors[0] if report.errors else "all pods to evict are deleted"
        refused = f"{report.refusals} evictions were refused by budgets, and retried"
        step = RuleStep("evictions", figures, refused, DRAINING)
        self._decide(
            f"node/{self.name}", verdict, step, binding, "uncordon() lets pods be placed here again"
        )
        for key in sorted({*report.evicted, *report.refused}):
            times, reason = report.refused.get(key, (0, ""))
            evicted = key in report.evicted
            verdict = f"{'evicted' if evicted else 'not evicted'}: {self.name} is being drained"
            result = (
                f"refused {times} times, the last time: {reason}" if times else "allowed at once"
            )
            step = RuleStep("budgets", {"node": self.name, "refusals": times}, result, DRAINING)
            would = "a budget protected it" if evicted else "its budget allowed a disruption"
            self._decide(meta.reference("pod", key), verdict, step, result, would)

    def _decide(
        self, object: str, verdict: str, step: RuleStep, binding: str, would_change_if: str
    ) -> None:
        self._decisions.record(
            Decision(
                time=self._clock.now(),
                revision=0,
                component="drain",
                object=object,
                verdict=verdict,
                steps=(step,),
                binding=binding,
                would_change_if=would_change_if,
            )
        )

    def _parts(self) -> list[Table]:
        return [self.conditions(), self.allocated(), self.pods(), self.events()]

    def _facts(self) -> list[tuple[str, str]]:
        latest = self._decisions.latest(f"node/{self.name}")
        return describe_node.facts(self.document, latest)

    def __str__(self) -> str:
        try:
            facts = [f"{label + ':':<15}{value}" for label, value in self._facts()]
            return "\n".join([*facts, *(f"\n{part}" for part in self._parts())])
        except NotFound:
            return f"{self.name}: there is no such Node object"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        try:
            facts = "".join(
                f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>"
                for label, value in self._facts()
            )
            parts = "".join(part._repr_html_() for part in self._parts())
        except NotFound:
            return f"<p>{escape(str(self))}</p>"
        return f"<table>{facts}</table>{parts}"


def parse_taint(text: str) -> TaintDict:
    """Parse a taint as kubectl writes it: ``key=value:Effect`` or ``key:Effect``.

    >>> parse_taint("dedicated=gpu:NoSchedule")
    {'key': 'dedicated', 'value': 'gpu', 'effect': 'NoSchedule'}

    Raises:
        BadRequest: the string has another form; the hint shows the right one.
    """
    name, colon, effect = text.rpartition(":")
    key, equal, value = name.partition("=")
    if not colon or not key or effect not in TAINT_EFFECTS:
        raise BadRequest(
            f"invalid taint spec: {text}",
            hint=f"write key=value:Effect, one of {', '.join(TAINT_EFFECTS)}",
        )
    return (
        {"key": key, "value": value, "effect": effect} if equal else {"key": key, "effect": effect}
    )
