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

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar, cast

from kubesim.analytics import Analytics
from kubesim.apiserver.bootstrap import create_system_objects, default_registry
from kubesim.apiserver.core import Core
from kubesim.apiserver.customkinds import CustomKinds
from kubesim.apiserver.fieldmanager.manager import FieldManager
from kubesim.apiserver.registry import Registry
from kubesim.apiserver.verbs.apply import Applier
from kubesim.apiserver.verbs.delete import Deleter
from kubesim.apiserver.verbs.eviction import Evictions
from kubesim.apiserver.verbs.metricsapis import MetricsAdapter, MetricsApis
from kubesim.apiserver.verbs.patch import Patcher
from kubesim.apiserver.verbs.read import Reader
from kubesim.apiserver.verbs.scale import ScaleSubresource
from kubesim.apiserver.verbs.subresources import PodOperations
from kubesim.apiserver.verbs.write import ObjectWriter
from kubesim.apiserver.verbs.writepath import WritePath
from kubesim.clock.base import Clock, Streams
from kubesim.simple.records import PodRecords
from kubesim.simple.verbs import SimplePods
from kubesim.store import Backend

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class _PartMethod:
    """A method of KubeAPI that one of its parts has.

    The bound method of the part is kept in the instance, as by `functools.cached_property`, so that
    a call costs no more than a call of the part. Subclasses may override the method.
    """

    def __init__(self, part: str, function: Callable[..., object]) -> None:
        self._part = part
        self._function = function
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __get__(self, api: KubeAPI | None, owner: type[KubeAPI]) -> Callable[..., object]:
        if api is None:
            return self._function
        name = self._function.__name__
        method: Callable[..., object] = getattr(getattr(api, self._part), name)
        if type(api) is KubeAPI:
            api.__dict__[name] = method
        return method


def _from(
    part: str, function: Callable[Concatenate[T, P], R]
) -> Callable[Concatenate[KubeAPI, P], R]:
    """Return `function` of a part as a method of KubeAPI."""
    return cast("Callable[Concatenate[KubeAPI, P], R]", _PartMethod(part, function))


class KubeAPI:
    """The API server.

    Args:
        store: keeps the objects and the usage samples of pods.
        clock: for timestamps, and for `delete_pod` to wait on.
        streams: for uids and name suffixes.
        analytics: the lifecycle log; None: nothing is logged.
        registry: the kinds; None: those of `default_registry`.

    Attributes:
        core: what the parts share.
        store, clock, streams, registry, analytics, audit: of the core.
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
    ) -> None:
        kinds = registry or default_registry()
        self.core = core = Core(store, store, clock, streams, kinds, analytics)
        self.store, self.clock, self.registry = store, clock, kinds
        self.analytics, self.audit = core.analytics, core.audit

        path = WritePath(core)
        fields = FieldManager(clock.timestamp, core.audit.actor)
        self.reader = Reader(core)
        self.writer = ObjectWriter(core, path, fields)
        self.write_path = path
        self.scale = ScaleSubresource(core, fields)
        self.patcher = Patcher(core, self.writer, self.scale)
        self.applier = Applier(core, path, self.writer)
        self.deleter = Deleter(core, self.reader)
        self.evictions = Evictions(core, self.deleter)
        self.pods = PodOperations(core)
        self.metrics = MetricsApis(core)
        for kind in kinds.kinds():
            if kind.trigger_field:
                store.trigger(kind.prefix, kind.trigger_field)
        self.custom_kinds = CustomKinds(core)
        create_system_objects(core, self.writer)
        pods = kinds.find("Pod")
        self.seed = PodRecords(store, store, clock, pods.prefix, self.pods.log_lines)
        self.simple = SimplePods(store, clock, self.seed, self.writer, self.deleter)

    @property
    def streams(self) -> Streams:
        """Randomness for uids and name suffixes; in a dry run, copies of the streams."""
        return self.core.streams

    @property
    def metrics_adapter(self) -> MetricsAdapter | None:
        """The adapter that serves custom and external metrics; None: there is none."""
        return self.metrics.adapter

    # Reading (verbs/read)
    get = _from("reader", Reader.get)
    peek = _from("reader", Reader.peek)
    convert = _from("reader", Reader.convert)
    snapshot = _from("reader", Reader.snapshot)
    list = _from("reader", Reader.list)
    list_shared = _from("reader", Reader.list_shared)
    watch = _from("reader", Reader.watch)
    watch_list = _from("reader", Reader.watch_list)

    # Writing (verbs/write, verbs/patch, verbs/apply)
    kind_of = _from("write_path", WritePath.kind_of)
    create = _from("writer", ObjectWriter.create)
    update = _from("writer", ObjectWriter.update)
    update_status = _from("writer", ObjectWriter.update_status)
    finalize = _from("writer", ObjectWriter.finalize)
    patch = _from("patcher", Patcher.patch)
    apply = _from("applier", Applier.apply)

    # Deleting (verbs/delete, verbs/eviction)
    delete = _from("deleter", Deleter.delete)
    delete_collection = _from("deleter", Deleter.delete_collection)
    evict = _from("evictions", Evictions.evict)

    # Subresources of workloads and pods (verbs/scale, verbs/subresources)
    get_scale = _from("scale", ScaleSubresource.get_scale)
    update_scale = _from("scale", ScaleSubresource.update_scale)
    bind = _from("pods", PodOperations.bind)
    register_log_source = _from("pods", PodOperations.register_log_source)
    node_log = _from("pods", PodOperations.node_log)
    log_lines = _from("pods", PodOperations.log_lines)
    pod_logs = _from("pods", PodOperations.pod_logs)

    # Metrics (verbs/subresources, verbs/metricsapis)
    metrics_writer = _from("pods", PodOperations.metrics_writer)
    sample = _from("pods", PodOperations.sample)
    forget_metrics = _from("pods", PodOperations.forget_metrics)
    register_metrics_server = _from("metrics", MetricsApis.register_metrics_server)
    register_metrics_adapter = _from("metrics", MetricsApis.register_metrics_adapter)
    usage = _from("metrics", MetricsApis.usage)
    samples_since = _from("metrics", MetricsApis.samples_since)
    custom_metrics = _from("metrics", MetricsApis.custom_metrics)
    external_metrics = _from("metrics", MetricsApis.external_metrics)

    # Kinds of your own (customkinds)
    register_kind = _from("custom_kinds", CustomKinds.register_kind)

    # The original simulator's methods (kubesim.simple.verbs)
    create_pod = _from("simple", SimplePods.create_pod)
    get_pod = _from("simple", SimplePods.get_pod)
    list_pods = _from("simple", SimplePods.list_pods)
    delete_pod = _from("simple", SimplePods.delete_pod)

    # Errors (core)
    not_found = _from("core", Core.not_found)
    conflict = _from("core", Core.conflict)
    already_exists = _from("core", Core.already_exists)
