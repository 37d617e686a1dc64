"""The composition root: a whole simulated cluster, booted from top to bottom.

Read `Cluster.__init__` as the boot sequence of a real one: etcd, the API server in front of it,
then its clients - kubelets, scheduler, controllers, autoscaler - which meet nowhere else.

>>> with Cluster(nodes=3, seed=7) as cluster:
...     cluster.set_traffic(10)                       # requests per second: one pod can serve that
...     cluster.sleep(60)
...     [pod["name"] for pod in cluster.api.list_pods()]
['auto-pod-0']

The clock decides how it runs. On the virtual clock (the default) there is no thread, a day takes
seconds, and the same seed gives the same run. On the live clock each component, and each pod, is
a named thread, and a second is a second (or 1/20 of one). The components are the same code.

Real counterparts: the order in which kubeadm brings up a control plane, and
cmd/kube-controller-manager, which starts the controllers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.kinds.metrics import SAMPLE_PREFIX, document_maker
from kubesim.autoscaler import HorizontalController, shadow_controllers, side_by_side
from kubesim.autoscaler.adapter import make_metrics
from kubesim.client.decisions import DecisionLog
from kubesim.client.tools import Tools
from kubesim.clock import NamedStreams, make_clock
from kubesim.clock.base import Clock
from kubesim.controllers import CONTROLLERS
from kubesim.ctl import apply as manifests
from kubesim.ctl.explain import Explanation, explain
from kubesim.ctl.get import get_table, pods_table
from kubesim.ctl.node import ClusterNode
from kubesim.ctl.outages import ControllerHandle
from kubesim.ctl.rollout import Rollout
from kubesim.ctl.trace import Trace, trace
from kubesim.errors import BadRequest, WorkerFailed
from kubesim.kubelet import Kubelet, KubeletConfig
from kubesim.kubelet.usage.models import capacities
from kubesim.objects.wellknown import MAX_PODS
from kubesim.rest import RestServer
from kubesim.scheduler import Scheduler
from kubesim.scheduler.multi import make_schedulers, proposals_for, restarted
from kubesim.simple import autopod, hpaconfig
from kubesim.store import EtcdStore, HistoryDigest
from kubesim.table import Table
from kubesim.traffic import Constant, Queue, Traffic

LEASE_PERIOD_SECONDS = 10.0  # how often leases are looked at
DIGEST_PERIOD_SECONDS = 1.0  # how often the running digest reads the history


class Cluster:
    """A control plane, its nodes and its pods, in this process.

    Args:
        nodes: number of nodes, ``node-1`` ...
        seed: the one source of randomness; same seed on the virtual clock, same run.
        clock: "virtual", "live", or a clock of your own.
        speed: simulated seconds per wall second (live).
        hpa: boot with the workload ``auto-pod`` and its autoscaler.
        node_cpu, node_memory, max_pods: capacity of each node, as Kubernetes quantities.
        sink: called with each printed log line, for example `print`.
        policy: an autoscaling policy of yours in place of the real algorithm.
        shadow_policies: policies by name that decide beside the real one and record it, and never
            act; see `shadows`.
        metrics_resolution: a metrics-server scrapes the pods' usage each so many seconds (at least
            10; the real one 15 or 60), so that autoscalers look at the past; None: they see each
            pod's last second.
        custom_metrics_resolution: how often `metrics` is read for autoscalers; 0: when they ask.
        profile: a scheduler profile of yours.
        schedulers: further schedulers by name: profiles, or policies with choose(pod, nodes).
        workloads: workload models of yours, by name (see kubesim.kubelet.usage.workload).
        digest: keep a running digest of the whole history, for `digest()`.
        history_limit: changes that the store keeps before it compacts.
        max_threads: on the live clock, workers above this number share one paced thread.
        kubelet: reserves, eviction thresholds and image pulls of all nodes.

    Raises:
        BadRequest: an argument that makes no sense; the message says which.
    """

    def __init__(
        self,
        nodes: int = 3,
        *,
        seed: int = 0,
        clock: str | Clock = "virtual",
        speed: float = 1.0,
        hpa: bool = True,
        node_cpu: str = "4",
        node_memory: str = "8Gi",
        max_pods: int = MAX_PODS,
        sink: Callable[[str], None] | None = None,
        policy: Any = None,
        shadow_policies: Mapping[str, Any] | None = None,
        metrics_resolution: float | None = None,
        custom_metrics_resolution: float = 0.0,
        profile: Any = None,
        schedulers: Mapping[str, Any] | None = None,
        workloads: Mapping[str, Any] | None = None,
        digest: bool = False,
        history_limit: int = 10_000,
        max_threads: int = 1_000,
        kubelet: KubeletConfig | None = None,
    ) -> None:
        _check_nodes(nodes)
        self.seed = seed
        self.failures: deque[WorkerFailed] = deque(maxlen=100)
        self._servers: list[RestServer] = []
        self._closed = False

        # Time, randomness, and the log that everybody writes to.
        self.streams = NamedStreams(seed)
        self.clock = make_clock(clock, speed, max_threads)
        self.clock.on_failure(self._component_failed)
        self.analytics = Analytics(self.clock.now, sink=sink)
        self.decisions = DecisionLog()

        # etcd, and the API server as the only door to it.
        self.store = EtcdStore(
            history_limit=history_limit,
            sample_prefix=SAMPLE_PREFIX,
            sample_document=document_maker(self.clock.timestamp),
            analytics=self.analytics,
        )
        self.analytics.attach_samples(self.store.samples_since)
        self._digest = HistoryDigest(self.store) if digest else None
        self.api = KubeAPI(self.store, self.clock, self.streams, analytics=self.analytics)

        # The clients of the API server. Requests of users to pods do not pass it, so the load
        # balancer hands its figures to the kubelets directly, as a network would.
        tools = Tools(self.api, self.clock, self.streams, self.analytics, self.decisions)
        self.traffic = Traffic(self.api, self.clock, capacities(seed, workloads))
        node: dict[str, Any] = {"cpu": node_cpu, "memory": node_memory, "max_pods": max_pods}
        node |= {"workloads": workloads, "config": kubelet, "load": self.traffic}
        self.tools, self._node = tools, node
        self.kubelets = [Kubelet(tools, node_name=f"node-{n}", **node) for n in range(1, nodes + 1)]
        self.schedulers = make_schedulers(tools, profile, schedulers)
        self.controllers = [controller(tools) for controller in CONTROLLERS]
        resolutions = metrics_resolution, custom_metrics_resolution
        self.metrics_server, self.metrics = make_metrics(self.api, self.traffic, *resolutions)
        self._shadows = shadow_controllers(self.api, shadow_policies, **tools.options())
        self.autoscaler = HorizontalController(self.api, policy=policy, **tools.options())
        self._start(hpa)

    def _start(self, hpa: bool) -> None:
        if self._digest is not None:
            worker = self.clock.worker("history-digest")
            worker.every(DIGEST_PERIOD_SECONDS, self._digest.update)
        # etcd ends leases by itself; ours is told the time. Events live for an hour by one.
        leases = self.clock.worker("etcd-leases")
        leases.every(LEASE_PERIOD_SECONDS, lambda: self.store.expire(self.clock.now()))
        for component in self.components:
            component.start()
        if hpa:
            self.api.create(autopod.workload())
            self.api.create(autopod.autoscaler())

    # -- looking --------------------------------------------------------------------------------

    @property
    def scheduler(self) -> Scheduler:
        """The default scheduler; all of them: `schedulers`."""
        return self.schedulers[0]

    @property
    def components(self) -> list[Any]:
        """Everything that runs, in boot order; each has start(), stop() and statistics()."""
        return [
            self.traffic,
            *self.kubelets,
            *self.schedulers,
            *self.controllers,
            *((self.metrics_server,) if self.metrics_server is not None else ()),
            self.metrics,
            *self._shadows,
            self.autoscaler,
        ]

    def explain(self, reference: str) -> Explanation:
        """Why: the decisions about ``hpa/auto-pod``, ``pod/web-1``, ``statefulset/auto-pod`` ...

        Raises:
            BadRequest: the reference is not of the form kind/name.
            NotFound: nothing was decided about that object; the message lists what was.
        """
        ask = partial(proposals_for, self.api, self.schedulers)
        return explain(self.decisions, reference, self.api.registry, ask)

    def trace(self, reference: str, revision: int | None = None) -> Trace:
        """What followed from the newest (or that) request about ``deployment/web``: a tree."""
        return trace(self.api, reference, revision)

    def rollout(self, reference: str) -> Rollout:
        """Status, history, undo, pause, resume and restart of ``deployment/web``, as kubectl's."""
        return Rollout(self.api, reference)

    def node(self, name: str) -> ClusterNode:
        """One node: cordon, drain, taint, fail, recover; printed, it is described."""
        machine = next((each for each in self.kubelets if each.node_name == name), None)
        return ClusterNode(self.api, self.clock, self.decisions, name, machine)

    def controller(self, name: str) -> ControllerHandle:
        """One controller, for example ``replicaset-controller``: crash it, start it anew."""
        return ControllerHandle(self.controllers, name, self.tools)

    def shadows(self, hpa: str = autopod.NAME) -> Table:
        """What each shadow policy would have done at each look of an HPA, beside the real one.

        Raises:
            NotFound: nothing was decided about that HPA yet.
        """
        return side_by_side(self.decisions, hpa)

    def pods(self, namespace: str | None = None) -> Table:
        """The pods as a table: name, phase, node, CPU, memory, restarts."""
        return pods_table(self.api, namespace)

    def get(self, kind: str, name: str = "", **options: Any) -> Table:
        """`kubectl get`: ``get("pods", wide=True)``; see `kubesim.ctl.get.get_table`."""
        return get_table(self.api, kind, name, **options)

    def hpa_config(self) -> dict[str, Any]:
        """The autoscaler's `target_cpu`, `min_pods`, `max_pods` and `interval`.

        Raises:
            NotFound: the cluster was booted without the autoscaler.
        """
        return hpaconfig.read(self.api)

    def statistics(self) -> dict[str, Any]:
        """Counts of every component, by its name."""
        return {
            getattr(component, "name", type(component).__name__): component.statistics()
            for component in self.components
        }

    def digest(self) -> str:
        """SHA-256 over every change of every key so far: equal digests, equal runs.

        Raises:
            BadRequest: the cluster was made without `digest=True`.
        """
        if self._digest is None:
            raise BadRequest("there is no digest", hint="make it: Cluster(digest=True)")
        self._digest.update()
        return self._digest.hexdigest()

    # -- changing -------------------------------------------------------------------------------

    def set_hpa_config(self, **changes: Any) -> dict[str, Any]:
        """Change the autoscaler at run time; keys left out keep their values.

        Raises:
            BadRequest: a bad value; nothing is changed then.
        """
        return hpaconfig.write(self.api, changes)

    def set_traffic(
        self,
        rate: Any,
        workload: str = autopod.NAME,
        *,
        service: str | None = None,
        queue: Queue | None = None,
    ) -> None:
        """Send requests to the ready pods of a workload, by its label ``app``, or to a Service.

        Args:
            rate: requests per second, or a traffic model (see kubesim.traffic); None ends it, and
                the pods use CPU at random again, as in the original simulator.
            workload: name of the workload.
            service: name of a Service in its place, whose EndpointSlices say who serves.
            queue: who waits; None: nobody, what the pods cannot serve is lost at once.
        """
        if rate is None:
            self.traffic.remove(service or workload)
            return
        model = Constant(float(rate)) if isinstance(rate, (int, float)) else rate
        if service is not None:
            self.traffic.to_service(service, model, queue=queue)
        else:
            self.traffic.route(workload, f"app={workload}", model, queue)

    def add_node(self, name: str = "", **options: Any) -> ClusterNode:
        """One node more: a machine is switched on, and registers itself.

        Args:
            name: of the node; "": ``node-N``, counted on.
            options: ``cpu``, ``memory``, ``max_pods``, ``labels`` ... of `Kubelet`; what is left
                out is as for the nodes of the beginning.

        Raises:
            BadRequest: there is a machine of that name.
        """
        name = name or f"node-{len(self.kubelets) + 1}"
        if any(machine.node_name == name for machine in self.kubelets):
            raise BadRequest(f"there is a node {name!r} already")
        machine = Kubelet(self.tools, node_name=name, **{**self._node, **options})
        self.kubelets.append(machine)
        machine.start()
        return self.node(name)

    def restart_scheduler(self, profile: Any = None) -> None:
        """Start the default scheduler anew with another profile; see `multi.restarted`.

        Raises:
            BadRequest: something in it is no plug-in; nothing is changed then.
        """
        self.schedulers[0] = restarted(self.scheduler, profile, self.tools)

    def apply(self, manifest: manifests.Manifest, **options: Any) -> Table:
        """`kubectl apply -f`: a path, a YAML text or dictionaries; see `kubesim.ctl.apply`."""
        return manifests.apply(self.api, manifest, **options)

    def delete(self, manifest: manifests.Manifest, **options: Any) -> Table:
        """`kubectl delete -f`: the objects of a manifest; see `kubesim.ctl.apply`."""
        return manifests.delete(self.api, manifest, **options)

    # -- time: for the driver alone -------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.clock.sleep(seconds)

    def wait_until(self, predicate: Callable[[], bool], timeout_seconds: float = 60.0) -> bool:
        """Let simulated time pass until the predicate holds; False after the timeout."""
        return self.clock.wait_until(predicate, timeout_seconds)

    # -- serving and ending ---------------------------------------------------------------------

    def serve(self, host: str = "127.0.0.1", port: int = 0, **options: Any) -> RestServer:
        """Serve this cluster over HTTP; port 0 takes any free one. `close()` ends it."""
        server = RestServer(
            self.api,
            host=host,
            port=port,
            decisions=self.decisions,
            analytics=self.analytics,
            statistics=self.statistics,
            **options,
        )
        server.start()
        self._servers.append(server)
        return server

    def close(self) -> None:
        """Stop the servers, the components and the clock; may be called twice."""
        if self._closed:
            return
        self._closed = True
        for server in self._servers:
            server.close()
        for component in reversed(self.components):
            component.stop()
        self.clock.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _component_failed(self, worker: str, error: BaseException) -> bool:
        """A failing component is seen: in the log, in `failures`, and by the driver if virtual."""
        self.failures.append(WorkerFailed(worker, error))
        self.analytics.log(worker, "WorkerFailed", f"{type(error).__name__}: {error}", "error")
        return not self.clock.virtual


def _check_nodes(nodes: int) -> None:
    if nodes < 0:
        raise BadRequest(f"nodes must be 0 or more, not {nodes}")
