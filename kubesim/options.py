"""The options of `Cluster` and of its nodes: which values each of them takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from kubesim import arguments
from kubesim.apiserver.bootstrap import FEATURE_GATES
from kubesim.arguments import Check, check_arguments
from kubesim.clock.base import Clock
from kubesim.kubelet import KubeletConfig, PodStage

MOST_NODES = 5_000  # Kubernetes is tested with as many
POLICY = arguments.having("recommend", "an object with a method recommend(observation)")

RESOURCES = arguments.optional(arguments.mapping_of(arguments.memory_quantity, "quantities"))
STAGES = arguments.list_of(arguments.instance_of(PodStage, "a PodStage"), "Stages")

CLUSTER: Mapping[str, Check] = {
    "nodes": arguments.count(MOST_NODES),
    "seed": arguments.whole_number(),
    "clock": arguments.instance_of((str, Clock), '"virtual", "live" or a clock'),
    "speed": arguments.number(above=True),
    "hpa": arguments.flag,
    "node_cpu": arguments.cpu_quantity,
    "node_memory": arguments.memory_quantity,
    "max_pods": arguments.whole_number(0),
    "sink": arguments.optional(arguments.function),
    "policy": arguments.optional(POLICY),
    "shadow_policies": arguments.optional(
        arguments.mapping_of(POLICY, "objects with a method recommend(observation)")
    ),
    "metrics_resolution": arguments.optional(arguments.number(10, unit="seconds")),
    "custom_metrics_resolution": arguments.number(),
    "schedulers": arguments.optional(
        arguments.instance_of(Mapping, "a mapping from names to profiles or policies")
    ),
    "workloads": arguments.optional(
        arguments.mapping_of(arguments.function, "functions, each of which makes a workload model")
    ),
    "digest": arguments.flag,
    "history_limit": arguments.whole_number(1),
    "quota_backend_bytes": arguments.whole_number(),
    "max_threads": arguments.whole_number(1),
    "job_seconds": arguments.number(unit="seconds"),
    "stages": STAGES,
    "feature_gates": arguments.optional(
        arguments.names_among(FEATURE_GATES, arguments.flag, "True or False")
    ),
    "kubelet": arguments.optional(arguments.instance_of(KubeletConfig, "a KubeletConfig")),
}

METHODS: Mapping[str, Check] = {
    "reference": arguments.instance_of(str, 'a string such as "pod/web-0"'),
    "seconds": arguments.instance_of((int, float), "a number"),
    "predicate": arguments.function,
    "timeout_seconds": arguments.real_number,
    "manifest": arguments.instance_of(
        (str, Path, Mapping, Iterable), "a path, YAML, or dictionaries"
    ),
    "host": arguments.instance_of(str, "a string"),
    "port": arguments.whole_number(0, 65_535),
}

STRING = arguments.instance_of(str, "a string")
NAMESPACE = arguments.optional(STRING)
OPTIONS: Mapping[str, Mapping[str, Check]] = {
    "get": {
        "kind": arguments.instance_of(str, 'a string such as "pods"'),
        "name": STRING,
        "namespace": NAMESPACE,
        "wide": arguments.flag,
        "label_selector": arguments.instance_of(str, 'a string such as "app=web"'),
        "field_selector": arguments.instance_of(str, 'a string such as "spec.nodeName=node-1"'),
    },
    "apply": {"namespace": NAMESPACE, "dry_run": arguments.flag},
    "delete": {"namespace": NAMESPACE, "ignore_not_found": arguments.flag},
    "serve": {
        "token": arguments.optional(STRING),
        "users": arguments.collection_of("users"),
        "allowed_hosts": arguments.collection_of("host names"),
        "allowed_origins": arguments.collection_of("origins"),
        "tls": arguments.flag,
        "read_only": arguments.flag,
        "kubeconfig": arguments.optional(arguments.instance_of((str, Path), "a path")),
    },
}

NODE: Mapping[str, Check] = {
    "name": arguments.instance_of(str, "a string"),
    "cpu": arguments.cpu_quantity,
    "memory": arguments.memory_quantity,
    "max_pods": arguments.whole_number(0),
    "job_seconds": arguments.number(unit="seconds"),
    "stages": STAGES,
    "labels": arguments.optional(
        arguments.mapping_of(arguments.instance_of(str, "a string"), "strings")
    ),
    "config": arguments.optional(arguments.instance_of(KubeletConfig, "a KubeletConfig")),
    "capacity": RESOURCES,
    "allocatable": RESOURCES,
}


class NodeOptions(TypedDict, total=False):
    """Options of one node.

    Attributes:
        cpu, memory: capacity, as Kubernetes quantities.
        max_pods: how many pods the node takes.
        capacity: further resources by name, such as ``nvidia.com/gpu``.
        allocatable: what pods may request, where it is not what `config` says.
        labels: in addition to its hostname, architecture and operating system.
        config: reserved resources, eviction thresholds and image pulls.
        job_seconds: how long a program with an end runs if its command is not understood.
        stages: rules about the life of pods.
    """

    cpu: str
    memory: str
    max_pods: int
    capacity: Mapping[str, str] | None
    allocatable: Mapping[str, str] | None
    labels: Mapping[str, str] | None
    config: KubeletConfig | None
    job_seconds: float
    stages: Sequence[PodStage]


def check_cluster_options(options: Mapping[str, object]) -> None:
    """Raise an error for the first option of `Cluster` that makes no sense.

    Args:
        options: all options by name; other names are ignored.

    Raises:
        BadRequest: says what was expected, and how to correct it.
    """
    check_arguments(CLUSTER, {name: options[name] for name in CLUSTER})


def check_call(**arguments: object) -> None:
    """Raise an error for the first argument of a method of `Cluster` that makes no sense.

    Raises:
        BadRequest: says what was expected, and how to correct it.
    """
    check_arguments(METHODS, arguments)


def check_options(method: str, **given: object) -> None:
    """Raise an error for the first option of a method of `Cluster` that makes no sense.

    Args:
        method: ``get``, ``apply``, ``delete`` or ``serve``.
        given: the options by name.

    Raises:
        BadRequest: says what was expected; for an unknown option: which ones there are.
    """
    check_arguments(OPTIONS[method], given)


def check_node_options(name: str, options: NodeOptions) -> None:
    """Raise an error for the first option of `Cluster.add_node` that makes no sense.

    Raises:
        BadRequest: says what was expected; for an unknown option: which ones there are.
    """
    check_arguments(NODE, {"name": name, **options})
