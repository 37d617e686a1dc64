"""`cluster.node("node-2")`: one node, with what an administrator does to it.

cordon, uncordon, taint, untaint and drain do what kubectl does, as clients of the API server;
`fail` and `recover` cut and restore the power of the simulated machine. Printed, a node looks like
``kubectl describe node``, with the reason of its state beside it.

>>> from kubesim import Cluster
>>> with Cluster(nodes=2, hpa=False) as cluster:
...     cluster.sleep(5)
...     node = cluster.node("node-2")
...     print(node.cordon(), "-", node.taint("dedicated=gpu:NoExecute"))
...     cluster.sleep(1)
...     print(node.taints())
node/node-2 cordoned - node/node-2 tainted
['dedicated=gpu:NoExecute', 'node.kubernetes.io/unschedulable:NoSchedule']

Source: k8s.io/kubectl/pkg/cmd/{drain,taint}, pkg/describe/describe.go (describeNode).
"""

from __future__ import annotations

from html import escape
from typing import Protocol

from kubesim.apiserver import KubeAPI
from kubesim.client import Decision, DecisionLog, RuleStep, retry_on_conflict
from kubesim.clock.base import Clock
from kubesim.ctl import describe_node as nodeview
from kubesim.ctl.drain import (
    TIMEOUT_SECONDS,
    Drain,
    DrainReport,
    cordon,
    drain_plan,
)
from kubesim.errors import BadRequest, NotFound
from kubesim.objects import meta
from kubesim.objects.conditions import is_condition_true
from kubesim.objects.frozen import Document
from kubesim.objects.taints import same_taint, taints_of
from kubesim.objects.wellknown import TAINT_EFFECTS
from kubesim.table import Table

DRAINING = "https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/"


class Machine(Protocol):
    """What has a power switch: the kubelet of a node."""

    def fail(self) -> None:
        """Cut the power."""

    def recover(self) -> None:
        """Restore it."""


class ClusterNode:
    """One node.

    Args:
        api, clock, decisions: the cluster's.
        name: for example ``node-2``.
        machine: its kubelet, if it is simulated here.

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
            api.get("Node", name)

    # -- looking --------------------------------------------------------------------------------

    @property
    def document(self) -> Document:
        """The Node object as it is now, a copy of your own.

        Raises:
            NotFound: it was deleted.
        """
        return self._api.get("Node", self.name)

    @property
    def ready(self) -> bool:
        """Condition Ready is True."""
        return is_condition_true(self.document, "Ready")

    @property
    def schedulable(self) -> bool:
        """Not cordoned."""
        return not self.document["spec"].get("unschedulable")

    def taints(self) -> list[str]:
        """The taints as kubectl writes them: ``key=value:Effect``."""
        return list(map(nodeview.taint_text, taints_of(self.document)))

    def conditions(self) -> Table:
        """The conditions: type, status, since when, reason, message."""
        return nodeview.conditions(self.document)

    def pods(self) -> Table:
        """The pods that are bound to it: status, and what they ask for."""
        return nodeview.pods(self._api, self.name)

    def allocated(self) -> Table:
        """What its pods ask for, of what it offers."""
        return nodeview.allocated(self._api, self.document)

    def events(self) -> Table:
        """The Events about it, by time."""
        return nodeview.events(self._api, self.name)

    # -- what kubectl does ----------------------------------------------------------------------

    def cordon(self) -> str:
        """Let no further pod come here: spec.unschedulable."""
        done = cordon(self._api, self.name, unschedulable=True)
        return f"node/{self.name} {'' if done else 'already '}cordoned"

    def uncordon(self) -> str:
        """Let pods come here again."""
        done = cordon(self._api, self.name, unschedulable=False)
        return f"node/{self.name} {'' if done else 'already '}uncordoned"

    def taint(self, text: str, *, overwrite: bool = False) -> str:
        """Set a taint.

        Args:
            text: ``key=value:Effect`` or ``key:Effect``.
            overwrite: exchange one of that key and effect.

        Raises:
            BadRequest: it makes no sense, or is there and not to be overwritten.
        """
        new = parse_taint(text)

        def write() -> None:
            node = self.document
            old = taints_of(node)
            if not overwrite and any(same_taint(taint, new) for taint in old):
                raise BadRequest(
                    f"node {self.name} already has {new['key']} taint(s) with same effect(s) and "
                    "--overwrite is false",
                    hint="say overwrite=True",
                )
            node["spec"]["taints"] = [taint for taint in old if not same_taint(taint, new)] + [new]
            self._api.update(node)

        retry_on_conflict(write)
        return f"node/{self.name} tainted"

    def untaint(self, text: str) -> str:
        """Take taints off: ``key`` for all of that key, ``key:Effect`` for one.

        Raises:
            BadRequest: there is no such taint.
        """
        wanted, _, effect = text.removesuffix("-").partition(":")
        key = wanted.partition("=")[0]

        def write() -> None:
            node = self.document
            old = taints_of(node)
            kept = [t for t in old if t["key"] != key or (effect and t["effect"] != effect)]
            if kept == old:
                raise BadRequest(f'taint "{text.removesuffix("-")}" not found')
            node["spec"]["taints"] = kept
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
        """Cordon the node and evict its pods; lets simulated time pass until they are gone.

        Args:
            grace_period_seconds: how long each pod may take to stop; None: what it says itself.
            timeout_seconds: after so long it gives up (kubectl never does by itself).
            ignore_daemonsets: leave the pods of DaemonSets alone; False: they stand in the way.
            delete_emptydir_data: pods with emptyDir volumes may go.
            force: pods without a controller may go; nobody makes them again.

        Returns:
            What happened, in kubectl's words; `drained` says whether all went well.

        Raises:
            NotFound: no such node.
            ClockError: called from a worker.
        """
        run = Drain(
            self._api,
            self._clock,
            self.name,
            grace_period_seconds=grace_period_seconds,
            timeout_seconds=timeout_seconds,
        )
        run.report.lines.append((self._clock.now(), self.cordon()))
        pods = nodeview.pods_on(self._api, self.name)
        plan = drain_plan(
            pods,
            daemonset_exists=lambda ns, name: self._api.peek("DaemonSet", name, ns) is not None,
            ignore_daemonsets=ignore_daemonsets,
            delete_emptydir_data=delete_emptydir_data,
            force=force,
        )
        report = run.run(plan)
        self._remember(report, len(pods), len(plan.skipped))
        return report

    # -- the power switch -----------------------------------------------------------------------

    def fail(self) -> None:
        """Cut the power: no lease, no status, no pod runs on; the API server is told nothing.

        Raises:
            BadRequest: the machine of this node is not simulated here.
        """
        self._switch().fail()

    def recover(self) -> None:
        """Restore the power: the kubelet starts, reports, and looks after its pods again.

        Raises:
            BadRequest: the machine of this node is not simulated here.
        """
        self._switch().recover()

    def _switch(self) -> Machine:
        if self._machine is None:
            hint = "only the nodes that a Cluster was made with have one"
            raise BadRequest(f"node {self.name} has no machine here", hint=hint)
        return self._machine

    # -- telling --------------------------------------------------------------------------------

    def _remember(self, report: DrainReport, pods: int, skipped: int) -> None:
        """A decision about the node, and one about each pod that it was about."""
        figures = {
            "pods": pods,
            "evicted": len(report.evicted),
            "left_alone": skipped,
            "refusals": report.refusals,
        }
        verdict = f"{self.name} is drained" if report.drained else f"{self.name} is not drained"
        binding = report.errors[0] if report.errors else "every pod that had to go is gone"
        refused = f"{report.refusals} evictions were refused by budgets, and tried again"
        step = RuleStep("evictions", figures, refused, DRAINING)
        self._decide(f"node/{self.name}", verdict, step, binding, "uncordon() lets pods come back")
        for key in sorted({*report.evicted, *report.refused}):
            times, why = report.refused.get(key, (0, ""))
            gone = key in report.evicted
            verdict = f"{'evicted' if gone else 'not evicted'}: {self.name} is being drained"
            said = f"refused {times} times, the last time: {why}" if times else "allowed at once"
            step = RuleStep("budgets", {"node": self.name, "refusals": times}, said, DRAINING)
            would = "a budget protected it" if gone else "its budget allowed a disruption"
            self._decide(meta.reference("pod", key), verdict, step, said, would)

    def _decide(
        self, about: str, verdict: str, step: RuleStep, binding: str, would_change_if: str
    ) -> None:
        self._decisions.record(
            Decision(
                time=self._clock.now(),
                revision=0,
                component="drain",
                object=about,
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
        return nodeview.facts(self.document, latest)

    def __str__(self) -> str:
        try:
            facts = [f"{label + ':':<15}{value}" for label, value in self._facts()]
            return "\n".join([*facts, *(f"\n{part}" for part in self._parts())])
        except NotFound:
            return f"{self.name}: there is no such Node object (any more)"

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


def parse_taint(text: str) -> Document:
    """A taint from kubectl's form ``key=value:Effect`` or ``key:Effect``.

    >>> parse_taint("dedicated=gpu:NoSchedule")
    {'key': 'dedicated', 'value': 'gpu', 'effect': 'NoSchedule'}

    Raises:
        BadRequest: it has no such form; the message says what is missing.
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
