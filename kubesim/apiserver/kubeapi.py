"""KubeAPI: the API server; the only way to the store, for every component and every client.

>>> from kubesim.clock import NamedStreams, VirtualClock
>>> from kubesim.store import EtcdStore
>>> api = KubeAPI(EtcdStore(), VirtualClock(), NamedStreams(7))
>>> pod = api.create_pod("my-first-pod")
>>> pod["status"], api.get("Pod", "my-first-pod")["metadata"]["resourceVersion"]
('Pending', '5')
>>> watch = api.watch("pods")
>>> api.bind("my-first-pod", "default", "node-1")
>>> [(event.type, event.object["spec"]["nodeName"]) for event in watch.poll()]
[('MODIFIED', 'node-1')]

A verb returns a copy that belongs to the caller; the objects of a watch, `peek` or `snapshot` are
shared and frozen. Components call these methods in the process; clients outside the process reach
the same methods over HTTP (kubesim.rest).

The class below is a table of contents: each line names the part that has the method.

Source: kube-apiserver; k8s.io/apiserver/pkg/registry/generic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kubesim.analytics import Analytics
from kubesim.apiserver.access.rbac import Authorizer
from kubesim.apiserver.access.tokens import TokenIssuer
from kubesim.apiserver.bootstrap import create_system_objects, default_registry
from kubesim.apiserver.core import Core
from kubesim.apiserver.customkinds import CustomKinds
from kubesim.apiserver.fieldmanager.manager import FieldManager
from kubesim.apiserver.parts import method_of
from kubesim.apiserver.registry import Registry
from kubesim.apiserver.upkeep import Upkeep
from kubesim.apiserver.verbs.advice import Advice
from kubesim.apiserver.verbs.apply import Applier
from kubesim.apiserver.verbs.approval import Approvals
from kubesim.apiserver.verbs.create import ObjectCreator, WritePath
from kubesim.apiserver.verbs.delete import Deleter
from kubesim.apiserver.verbs.eviction import Evictions
from kubesim.apiserver.verbs.metricsapis import MetricsAdapter, MetricsApis
from kubesim.apiserver.verbs.patch import Patcher
from kubesim.apiserver.verbs.read import Reader
from kubesim.apiserver.verbs.scale import ScaleSubresource
from kubesim.apiserver.verbs.subresources import PodOperations
from kubesim.apiserver.verbs.write import ObjectWriter
from kubesim.clock.base import Clock, Streams
from kubesim.simple.pods import Creator, SimplePods
from kubesim.simple.records import PodRecords
from kubesim.store import Backend

if TYPE_CHECKING:
    from kubesim.apiserver.typedverbs import (
        CreateVerb,
        GetVerb,
        PeekVerb,
        SnapshotVerb,
        UpdateVerb,
    )


class KubeAPI:
    """The API server.

    Args:
        store: keeps the objects and the usage samples of pods.
        clock: for timestamps, and for `delete_pod` to wait on.
        streams: for uids and name suffixes.
        analytics: the lifecycle log; None: nothing is logged.
        registry: the kinds; None: those of `default_registry`.
        service_accounts: pods get the accounts of their namespaces, which must exist; off without
            the controllers that create them.

    Attributes:
        core: what the parts share.
        store, clock, streams, registry, analytics, audit: of the core.
        access: decides what users may do.
        tokens: issues the tokens of service accounts.
        seed: the pod records of the original simulator, with their JSON.
    """

    def __init__(
        self,
        store: Backend,
        clock: Clock,
        streams: Streams,
        *,
        analytics: Analytics | None = None,
        registry: Registry | None = None,
        service_accounts: bool = False,
    ) -> None:
        kinds = registry or default_registry()
        self.core = core = Core(store, store, clock, streams, kinds, analytics, service_accounts)
        self.store, self.clock, self.registry = store, clock, kinds
        self.analytics, self.audit = core.analytics, core.audit

        advice = Advice(core)
        path = WritePath(core, advice)
        fields = FieldManager(clock.timestamp, core.audit.actor)
        self.reader = Reader(core)
        self.creator = ObjectCreator(core, path, fields)
        self.writer = ObjectWriter(core, path, fields)
        self.write_path = path
        self.scale = ScaleSubresource(core, fields)
        self.approvals = Approvals(core, self.writer)
        self.patcher = Patcher(core, self.writer, self.scale, self.approvals)
        self.applier = Applier(core, path, self.creator, self.writer)
        self.deleter = Deleter(core, self.reader, advice)
        self.evictions = Evictions(core, self.deleter)
        self.pods = PodOperations(core)
        self.metrics = MetricsApis(core)
        for kind in kinds.kinds():
            if kind.trigger_field:
                store.trigger(kind.prefix, kind.trigger_field)
        upkeep = Upkeep(core)
        self.custom_kinds = CustomKinds(core, upkeep)
        self.access, self.tokens = Authorizer(store), TokenIssuer(core)
        create_system_objects(core, self.creator, upkeep)
        pods = kinds.find("Pod")
        self.seed = PodRecords(store, store, clock, pods.prefix, self.pods.log_lines)
        creator = cast(Creator, self.creator)  # of pods alone
        self.simple = SimplePods(store, clock, self.seed, creator, self.deleter)

    @property
    def streams(self) -> Streams:
        """Randomness for uids and name suffixes; in a dry run, copies of the streams."""
        return self.core.streams

    @property
    def metrics_adapter(self) -> MetricsAdapter | None:
        """The adapter that serves custom and external metrics, or None."""
        return self.metrics.adapter

    # Reading (verbs/read; what a kind's name returns: typedverbs)
    get = cast("GetVerb", method_of("reader", Reader.get))
    peek = cast("PeekVerb", method_of("reader", Reader.peek))
    convert = method_of("reader", Reader.convert)
    snapshot = cast("SnapshotVerb", method_of("reader", Reader.snapshot))
    list = method_of("reader", Reader.list)
    list_shared = method_of("reader", Reader.list_shared)
    watch = method_of("reader", Reader.watch)
    watch_list = method_of("reader", Reader.watch_list)

    # Writing (core, verbs/create, verbs/write, verbs/patch, verbs/apply)
    kind_of = method_of("core", Core.kind_of)
    create = cast("CreateVerb", method_of("creator", ObjectCreator.create))
    update = cast("UpdateVerb", method_of("writer", ObjectWriter.update))
    update_status = cast("UpdateVerb", method_of("writer", ObjectWriter.update_status))
    finalize = method_of("writer", ObjectWriter.finalize)
    update_approval = method_of("approvals", Approvals.update_approval)
    patch = method_of("patcher", Patcher.patch)
    apply = method_of("applier", Applier.apply)

    # Deleting (verbs/delete, verbs/eviction)
    delete = method_of("deleter", Deleter.delete)
    delete_collection = method_of("deleter", Deleter.delete_collection)
    evict = method_of("evictions", Evictions.evict)

    # Subresources of workloads and pods (verbs/scale, verbs/subresources)
    get_scale = method_of("scale", ScaleSubresource.get_scale)
    update_scale = method_of("scale", ScaleSubresource.update_scale)
    bind = method_of("pods", PodOperations.bind)
    register_log_source = method_of("pods", PodOperations.register_log_source)
    node_log = method_of("pods", PodOperations.node_log)
    log_lines = method_of("pods", PodOperations.log_lines)
    pod_logs = method_of("pods", PodOperations.pod_logs)
    register_command_runner = method_of("pods", PodOperations.register_command_runner)
    exec = method_of("pods", PodOperations.exec)

    # Metrics (verbs/subresources, verbs/metricsapis)
    metrics_writer = method_of("pods", PodOperations.metrics_writer)
    sample = method_of("pods", PodOperations.sample)
    forget_metrics = method_of("pods", PodOperations.forget_metrics)
    register_metrics_server = method_of("metrics", MetricsApis.register_metrics_server)
    register_metrics_adapter = method_of("metrics", MetricsApis.register_metrics_adapter)
    usage = method_of("metrics", MetricsApis.usage)
    samples_since = method_of("metrics", MetricsApis.samples_since)
    custom_metrics = method_of("metrics", MetricsApis.custom_metrics)
    external_metrics = method_of("metrics", MetricsApis.external_metrics)

    # Your own kinds (customkinds)
    register_kind = method_of("custom_kinds", CustomKinds.register_kind)

    # The original simulator's methods (kubesim.simple.pods)
    create_pod = method_of("simple", SimplePods.create_pod)
    get_pod = method_of("simple", SimplePods.get_pod)
    list_pods = method_of("simple", SimplePods.list_pods)
    delete_pod = method_of("simple", SimplePods.delete_pod)

    # Errors (core)
    not_found = method_of("core", Core.not_found)
    conflict = method_of("core", Core.conflict)
    already_exists = method_of("core", Core.already_exists)
