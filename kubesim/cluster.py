"""The composition root: a simulated cluster, started from top to bottom.

Read `Cluster.__init__` as the boot sequence of a real cluster: etcd, the API server in front of it,
then its clients - kubelets, scheduler, controllers, autoscaler.

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
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Unpack

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.bootstrap import make_store, registry_with
from kubesim.autoscaler import AutoscalingPolicy, HorizontalController
from kubesim.autoscaler.metrics.adapter import make_metrics
from kubesim.autoscaler.shadow import shadow_controllers, side_by_side
from kubesim.client.decisions import DecisionLog
from kubesim.client.tools import Component, Tools
from kubesim.clock import NamedStreams, make_clock
from kubesim.clock.base import Clock
from kubesim.controllers import CONTROLLERS
from kubesim.ctl import apply as manifests
from kubesim.ctl.access import explain_access
from kubesim.ctl.apply import ApplyOptions, DeleteOptions
from kubesim.ctl.diagnosis import diagnose
from kubesim.ctl.explain import DiagnosedLog, Explanation, explain
from kubesim.ctl.get import GetOptions, get_table, pods_table
from kubesim.ctl.node import ClusterNode
from kubesim.ctl.outages import ControllerHandle
from kubesim.ctl.rollout import Rollout
from kubesim.ctl.trace import Trace, trace
from kubesim.errors import BadRequest, WorkerFailed
from kubesim.kubelet import JOB_SECONDS, KubeletConfig, PodStage
from kubesim.kubelet.usage.models import capacities
from kubesim.kubelet.usage.workload import Factory
from kubesim.machines import Machines
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import MAX_PODS
from kubesim.options import NodeOptions, check_call, check_cluster_options, check_options
from kubesim.rest import RestServer
from kubesim.scheduler import Scheduler
from kubesim.scheduler.multi import Schedulers, make_schedulers, proposals_for, restarted
from kubesim.scheduler.policy import PlacementPolicy
from kubesim.scheduler.registry import ProfileSource
from kubesim.simple import autopod, hpaconfig
from kubesim.store import HistoryDigest
from kubesim.table import Table
from kubesim.traffic import Queue, Traffic, TrafficModel
from kubesim.traffic.models import traffic_model

LEASE_PERIOD_SECONDS = 10.0  # how often expired leases are deleted
DIGEST_PERIOD_SECONDS = 1.0  # how often the running digest reads the history


class Cluster:
    """A control plane, its nodes and its pods, in this process.

    Args:
        nodes: number of nodes, ``node-1`` ...; at most 5,000, as a real cluster.
        seed: the only source of randomness; same seed on the virtual clock, same run.
        clock: "virtual", "live", or your own clock.
        speed: simulated seconds per wall second (live).
        hpa: start with the workload ``auto-pod`` and its autoscaler.
        node_cpu, node_memory, max_pods: capacity of each node, as Kubernetes quantities.
        sink: called with each printed log line, for example `print`; switched off if it raises.
        policy: your own autoscaling policy in place of the real algorithm.
        shadow_policies: policies by name that only record what they would do; see `shadows`.
        metrics_resolution: seconds between two scrapes of the metrics-server, at least 10;
            None: no metrics-server, autoscalers see each pod's last second.
        custom_metrics_resolution: seconds between two readings of `metrics`; 0: read on demand.
        profile: your own scheduler profile; see `Scheduler`.
        schedulers: further schedulers by name: profiles, or policies with choose(pod, nodes).
        workloads: your own workload models, by name (see kubesim.kubelet.usage.workload).
        digest: keep a running digest of the whole history, for `digest()`.
        history_limit: changes that the store keeps before it compacts.
        quota_backend_bytes: of the store, as etcd's option; 0: 1 GiB; below 0: no quota.
        max_threads: on the live clock, workers above this number share one paced thread.
        kubelet: reserved resources, eviction thresholds and image pulls of all nodes.
        job_seconds: how long a program with an end runs if its command is not understood.
        stages: rules about the life of pods, chosen by label (see `kubesim.kubelet.PodStage`).
        feature_gates: alpha features by name: HPAScaleToZero, HPAConfigurableTolerance.

    Raises:
        BadRequest: an argument that makes no sense; the message says what was expected.
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
        policy: AutoscalingPolicy | None = None,
        shadow_policies: Mapping[str, AutoscalingPolicy] | None = None,
        metrics_resolution: float | None = None,
        custom_metrics_resolution: float = 0.0,
        profile: ProfileSource | PlacementPolicy = None,
        schedulers: Schedulers | None = None,
        workloads: Mapping[str, Factory] | None = None,
        digest: bool = False,
        history_limit: int = 10_000,
        quota_backend_bytes: int = 0,
        max_threads: int = 1_000,
        kubelet: KubeletConfig | None = None,
        job_seconds: float = JOB_SECONDS,
        stages: Sequence[PodStage] = (),
        feature_gates: Mapping[str, bool] | None = None,
    ) -> None:
        check_cluster_options(locals())
        self.seed, self._closed = seed, False
        self.failures: deque[WorkerFailed] = deque(maxlen=100)
        self._servers: list[RestServer] = []
        # Time, randomness, and the logs that all components write to.
        self.streams = NamedStreams(seed)
        self.clock = make_clock(clock, speed, max_threads)
        self.clock.on_failure(self._component_failed)
        self.analytics = Analytics(self.clock.now, sink=sink)
        self.decisions = DecisionLog()

        # etcd, and the API server as the only door to it.
        self.store = make_store(history_limit, quota_backend_bytes, self.clock, self.analytics)
        self._digest = HistoryDigest(self.store) if digest else None
        kinds, core = registry_with(feature_gates), (self.store, self.clock, self.streams)
        self.api = KubeAPI(*core, analytics=self.analytics, registry=kinds, service_accounts=True)
        self.tools = Tools(self.api, self.clock, self.streams, self.analytics, self.decisions)

        # The clients of the API server. Requests of users to pods do not pass through it: the load
        # balancer tells the kubelets directly how many arrive.
        self.traffic = Traffic(self.api, self.clock, capacities(seed, workloads))
        options = NodeOptions(cpu=node_cpu, memory=node_memory, max_pods=max_pods, config=kubelet)
        options |= {"job_seconds": job_seconds, "stages": stages}
        self._machines = Machines(self.tools, self.traffic, workloads, nodes, options)
        self.kubelets = self._machines.kubelets
        self.schedulers = make_schedulers(self.tools, profile, schedulers)
        self.controllers = [controller(self.tools) for controller in CONTROLLERS]
        resolutions = metrics_resolution, custom_metrics_resolution
        self.metrics_server, self.metrics = make_metrics(self.api, self.traffic, *resolutions)
        self._shadows = shadow_controllers(self.api, shadow_policies, **self.tools.options())
        self.autoscaler = HorizontalController(self.api, policy=policy, **self.tools.options())
        self._start(hpa)

    def _start(self, hpa: bool) -> None:
        if self._digest is not None:
            self.clock.worker("history-digest").every(DIGEST_PERIOD_SECONDS, self._digest.update)
        # etcd deletes expired leases by itself; ours has no clock. Events have a lease of an hour.
        leases = self.clock.worker("etcd-leases")
        leases.every(LEASE_PERIOD_SECONDS, lambda: self.store.expire(self.clock.now()))
        for component in self.components:
            component.start()
        if hpa:
            self.api.create(autopod.workload())
            self.api.create(autopod.autoscaler())

    # -- reading --------------------------------------------------------------------------------

    @property
    def scheduler(self) -> Scheduler:
        """The default scheduler; all schedulers: `schedulers`."""
        return self.schedulers[0]

    @property
    def components(self) -> list[Component]:
        """All components in boot order."""
        return [
            self.traffic,
            *self.kubelets,
            self._machines,
            *self.schedulers,
            *self.controllers,
            *((self.metrics_server,) if self.metrics_server is not None else ()),
            self.metrics,
            *self._shadows,
            self.autoscaler,
        ]

    def explain(self, reference: str) -> Explanation:
        """Return the decisions about ``hpa/auto-pod``, ``sts/shop/db``, ``access/ann get pods`` ...

        Raises:
            BadRequest, NotFound: malformed; no such kind, or no decision about it was recorded.
        """
        check_call(reference=reference)
        if reference.startswith("access/"):
            return Explanation(reference, [explain_access(self.api, reference)])
        proposals = partial(proposals_for, self.api, self.schedulers)
        state = partial(diagnose, self.api)
        return explain(self.decisions, reference, self.api.registry, proposals, state)

    def trace(self, reference: str, revision: int | None = None) -> Trace:
        """Return what followed from the newest (or that) request about an object, as a tree."""
        check_call(reference=reference)
        return trace(self.api, reference, revision)

    def rollout(self, reference: str) -> Rollout:
        """Return a workload's rollout: status, history, undo, pause, resume, restart."""
        check_call(reference=reference)
        return Rollout(self.api, reference)

    def node(self, name: str) -> ClusterNode:
        """Return a node, to cordon, drain, taint, fail or recover it; printed, it is described."""
        return ClusterNode(self.api, self.clock, self.decisions, name, self._machines.find(name))

    def controller(self, name: str) -> ControllerHandle:
        """Return a controller, for example ``replicaset-controller``, to crash and restart it."""
        return ControllerHandle(self.controllers, name, self.tools)

    def shadows(self, hpa: str = autopod.NAME) -> Table:
        """Return what each shadow policy would have done at each sync of an HPA."""
        return side_by_side(self.decisions, hpa)

    def pods(self, namespace: str | None = None) -> Table:
        """Return a table of the pods: name, phase, node, CPU, memory, restarts."""
        check_options("get", namespace=namespace)
        return pods_table(self.api, namespace)

    def get(self, kind: str, name: str = "", **options: Unpack[GetOptions]) -> Table:
        """`kubectl get`: ``get("pods", wide=True)``; see `kubesim.ctl.get.get_table`.

        Args:
            kind: any name of the kind.
            name: of one object; "": all objects.
            options: namespace, wide, label_selector, field_selector.
        """
        check_options("get", kind=kind, name=name, **options)
        return get_table(self.api, kind, name, **options)

    def hpa_config(self) -> Document:
        """Return the autoscaler's `target_cpu`, `min_pods`, `max_pods` and `interval`."""
        return hpaconfig.read(self.api)

    def statistics(self) -> Document:
        """Return the counts of all components, by component name."""
        return {
            getattr(component, "name", type(component).__name__): component.statistics()
            for component in self.components
        }

    def digest(self) -> str:
        """Return a SHA-256 over every change of every key so far: equal digests, equal runs.

        Raises:
            BadRequest: the cluster was made without `digest=True`.
        """
        if self._digest is None:
            raise BadRequest("there is no digest", hint="write Cluster(digest=True)")
        self._digest.update()
        return self._digest.hexdigest()

    # -- changing -------------------------------------------------------------------------------

    def set_hpa_config(self, **changes: object) -> Document:
        """Change the autoscaler at run time; keys left out keep their values.

        Raises:
            BadRequest: a bad value; nothing is changed then.
        """
        return hpaconfig.write(self.api, changes)

    def set_traffic(
        self,
        rate: float | TrafficModel | None,
        workload: str = autopod.NAME,
        *,
        service: str | None = None,
        queue: Queue | None = None,
    ) -> None:
        """Send requests to the ready pods of a workload, by its label ``app``, or to a Service.

        Args:
            rate: requests per second, or a traffic model (see `kubesim.traffic`). None ends the
                traffic, and the pods use CPU at random again, as in the original simulator.
            workload: name of the workload.
            service: name of a Service instead; its EndpointSlices say which pods serve.
            queue: how requests wait; None: requests that the pods cannot serve at once are lost.

        Raises:
            BadRequest: the rate is neither a number of 0 or more nor a traffic model.
        """
        if rate is None:
            self.traffic.remove(service or workload)
            return
        model = traffic_model(rate)
        if service is not None:
            self.traffic.to_service(service, model, queue=queue)
        else:
            self.traffic.route(workload, f"app={workload}", model, queue)

    def add_node(self, name: str = "", **options: Unpack[NodeOptions]) -> ClusterNode:
        """Add a node: a machine is switched on, and its kubelet registers it.

        Args:
            name: of the node; "": ``node-N``, the next number.
            options: of `NodeOptions`: ``cpu``, ``memory``, ``capacity``, ``labels`` ...; those left
                out are as for the first nodes.

        Raises:
            BadRequest: there is a machine of that name, or an option makes no sense.
        """
        return self.node(self._machines.add(name, options))

    def restart_scheduler(self, profile: ProfileSource | PlacementPolicy = None) -> None:
        """Restart the default scheduler with another profile; see `multi.restarted`.

        Raises:
            BadRequest: something in it is not a plug-in; nothing is changed then.
        """
        self.schedulers[0] = restarted(self.scheduler, profile, self.tools)

    def apply(self, manifest: manifests.Manifest, **options: Unpack[ApplyOptions]) -> Table:
        """`kubectl apply -f`: a path, YAML or dictionaries; see `kubesim.ctl.apply`."""
        check_call(manifest=manifest)
        check_options("apply", **options)
        return manifests.apply(self.api, manifest, **options)

    def delete(self, manifest: manifests.Manifest, **options: Unpack[DeleteOptions]) -> Table:
        """`kubectl delete -f`: the objects of a manifest; see `kubesim.ctl.apply`."""
        check_call(manifest=manifest)
        check_options("delete", **options)
        return manifests.delete(self.api, manifest, **options)

    # -- time: for the driver alone -------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass."""
        check_call(seconds=seconds)
        self.clock.sleep(seconds)

    def wait_until(self, predicate: Callable[[], bool], timeout_seconds: float = 60.0) -> bool:
        """Let simulated time pass until the predicate holds; False after the timeout."""
        check_call(predicate=predicate, timeout_seconds=timeout_seconds)
        return self.clock.wait_until(predicate, timeout_seconds)

    # -- serving and ending ---------------------------------------------------------------------

    def serve(self, host: str = "127.0.0.1", port: int = 0, **options: Any) -> RestServer:
        """Serve this cluster over HTTP until `close()`.

        Args:
            host, port: the address to listen on; port 0 is any free port.
            options: see `RestServer`: ``token``, ``users``, ``tls``, ``read_only`` ...
        """
        check_call(host=host, port=port)
        check_options("serve", **options)
        server = RestServer(
            self.api,
            host=host,
            port=port,
            decisions=DiagnosedLog(self.decisions, self.api.registry, partial(diagnose, self.api)),
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def _component_failed(self, worker: str, error: BaseException) -> bool:
        """Log the error of a component; return False if the driver has to raise it (virtual)."""
        self.failures.append(WorkerFailed(worker, error))
        self.analytics.log(worker, "WorkerFailed", f"{type(error).__name__}: {error}", "error")
        return not self.clock.virtual
