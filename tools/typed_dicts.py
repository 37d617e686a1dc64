"""TypedDicts of the kinds that are used most, generated from the API types. Pure.

Each file holds the types that its roots reach and that no file before it holds, so that a file
imports only from those before it. No field is `Required`, also if the API requires it: components
read and write parts of objects (a status to merge, a spec before its defaults), and the API server
checks what is complete.

>>> python_type({"type": "array", "items": {"type": "string"}}, {})
'list[str]'
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Mapping

from kubesim.apiserver.schema.data import Schema

REF = "#/components/schemas/"
CORE, META = "io.k8s.api.core.v1.", "io.k8s.apimachinery.pkg.apis.meta.v1."
APPS, BATCH, SCALING = "io.k8s.api.apps.v1.", "io.k8s.api.batch.v1.", "io.k8s.api.autoscaling.v2."
DISCOVERY, POLICY = "io.k8s.api.discovery.v1.", "io.k8s.api.policy.v1."
# File -> what it holds, and the types that it begins with.
FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "meta": (
        "Metadata, selectors and references that all kinds share.",
        (
            f"{META}ObjectMeta",
            f"{META}LabelSelector",
            f"{META}Condition",
            f"{CORE}LocalObjectReference",
            f"{CORE}ObjectReference",
        ),
    ),
    "claims": (
        "PersistentVolumeClaim and its parts.",
        (f"{CORE}PersistentVolumeClaim", f"{CORE}PersistentVolumeClaimTemplate"),
    ),
    "projections": (
        "The volumes that are made of objects of the API.",
        (
            f"{CORE}ConfigMapVolumeSource",
            f"{CORE}DownwardAPIVolumeSource",
            f"{CORE}ProjectedVolumeSource",
            f"{CORE}SecretVolumeSource",
        ),
    ),
    "volumes": ("The volumes of a pod and their sources.", (f"{CORE}Volume",)),
    "containers": (
        "The containers of a pod: ports, environment, probes, resources.",
        (f"{CORE}Container", f"{CORE}EphemeralContainer"),
    ),
    "affinity": (
        "Where a pod may run: affinity, tolerations, topology spread.",
        (f"{CORE}Affinity", f"{CORE}Toleration", f"{CORE}TopologySpreadConstraint"),
    ),
    "pods": (
        "Pod, its spec, its status and its template.",
        (f"{CORE}Pod", f"{CORE}PodTemplateSpec"),
    ),
    "storage": (
        "PersistentVolume, StorageClass and CSINode.",
        (
            f"{CORE}PersistentVolume",
            "io.k8s.api.storage.v1.StorageClass",
            "io.k8s.api.storage.v1.CSINode",
        ),
    ),
    "nodes": ("Node, its spec and its status.", (f"{CORE}Node",)),
    "services": (
        "Service and EndpointSlice.",
        (f"{CORE}Service", f"{DISCOVERY}EndpointSlice"),
    ),
    "cluster": (
        "Namespace, ResourceQuota, Event, Lease and PodDisruptionBudget.",
        (
            f"{CORE}Namespace",
            f"{CORE}ResourceQuota",
            f"{CORE}Event",
            "io.k8s.api.coordination.v1.Lease",
            f"{POLICY}PodDisruptionBudget",
        ),
    ),
    "apps": (
        "Deployment, ReplicaSet, StatefulSet, DaemonSet and ControllerRevision.",
        tuple(
            f"{APPS}{kind}"
            for kind in (
                "Deployment",
                "ReplicaSet",
                "StatefulSet",
                "DaemonSet",
                "ControllerRevision",
            )
        ),
    ),
    "batch": ("Job and CronJob.", (f"{BATCH}Job", f"{BATCH}CronJob")),
    "autoscaling": (
        "HorizontalPodAutoscaler (autoscaling/v2) and Scale.",
        (f"{SCALING}HorizontalPodAutoscaler", "io.k8s.api.autoscaling.v1.Scale"),
    ),
}
EXPORTED = {
    "affinity": (
        "Affinity",
        "NodeAffinity",
        "NodeSelectorRequirement",
        "NodeSelectorTerm",
        "PodAffinity",
        "PodAffinityTerm",
        "PodAntiAffinity",
        "PreferredSchedulingTerm",
        "Toleration",
        "TopologySpreadConstraint",
        "WeightedPodAffinityTerm",
    ),
    "apps": (
        "ControllerRevision",
        "DaemonSet",
        "DaemonSetSpec",
        "DaemonSetStatus",
        "Deployment",
        "DeploymentCondition",
        "DeploymentSpec",
        "DeploymentStatus",
        "ReplicaSet",
        "ReplicaSetCondition",
        "ReplicaSetSpec",
        "ReplicaSetStatus",
        "StatefulSet",
        "StatefulSetSpec",
        "StatefulSetStatus",
    ),
    "autoscaling": (
        "CrossVersionObjectReference",
        "HPAScalingRules",
        "HorizontalPodAutoscaler",
        "HorizontalPodAutoscalerSpec",
        "HorizontalPodAutoscalerStatus",
        "MetricSpec",
        "MetricStatus",
        "MetricTarget",
        "Scale",
    ),
    "batch": (
        "CronJob",
        "CronJobStatus",
        "Job",
        "JobCondition",
        "JobSpec",
        "JobStatus",
        "JobTemplateSpec",
        "PodFailurePolicyOnExitCodesRequirement",
        "PodFailurePolicyOnPodConditionsPattern",
        "PodFailurePolicyRule",
        "SuccessPolicyRule",
        "UncountedTerminatedPods",
    ),
    "claims": ("PersistentVolumeClaim", "PersistentVolumeClaimStatus"),
    "cluster": (
        "Event",
        "Lease",
        "Namespace",
        "NamespaceCondition",
        "NamespaceStatus",
        "PodDisruptionBudget",
        "PodDisruptionBudgetStatus",
        "ResourceQuota",
        "ResourceQuotaSpec",
        "ResourceQuotaStatus",
    ),
    "containers": ("Container", "ContainerPort", "EnvVar", "Lifecycle", "Probe"),
    "meta": (
        "Condition",
        "LabelSelector",
        "LabelSelectorRequirement",
        "ObjectMeta",
        "ObjectReference",
        "OwnerReference",
    ),
    "nodes": ("ContainerImage", "Node", "NodeCondition", "NodeSpec", "NodeStatus", "Taint"),
    "pods": (
        "ContainerState",
        "ContainerStateTerminated",
        "ContainerStateWaiting",
        "ContainerStatus",
        "Pod",
        "PodCondition",
        "PodSpec",
        "PodStatus",
        "PodTemplateSpec",
    ),
    "projections": ("ConfigMapVolumeSource", "SecretVolumeSource"),
    "services": (
        "Endpoint",
        "EndpointConditions",
        "EndpointPort",
        "EndpointSlice",
        "Service",
        "ServicePort",
        "ServiceSpec",
    ),
    "storage": ("CSINode", "PersistentVolume", "PersistentVolumeStatus", "StorageClass"),
    "volumes": ("Volume",),
}
PLAIN = {"string": "str", "boolean": "bool", "integer": "int", "number": "float"}
WIDTH = 100
HEADER = "Generated by tools/update_kubernetes.py from the API types of Kubernetes; do not edit."
PACKAGE = f'''"""TypedDicts of the most used kinds: what a type checker knows of a document.

A function that takes or returns one kind says so (`pod: PodDict`); one that takes any kind takes
a `Document` or a `ReadOnlyDocument` of `kubesim.objects.frozen`. At run time a TypedDict is a plain
dict, and a stored, frozen document (`FrozenDict`) is a subclass of dict: both fit, and nothing is
converted or checked. What comes from the store or a cache may not be changed, although its type
does not say so. Each field may be missing, also one that the API requires.

Import these under `TYPE_CHECKING`: no component needs them at run time.

{HEADER}
"""
'''


def generate(
    types: Mapping[str, Schema], descriptions: Mapping[str, tuple[str, dict[str, str]]]
) -> dict[str, str]:
    """Return the source of each file by its name.

    Args:
        types: schemas by component name, as `kubernetes_data` makes them.
        descriptions: of each type.
    """
    homes: dict[str, str] = {}
    result = {}
    for file, (about, roots) in FILES.items():
        own = [name for name in _reached(types, roots) if name not in homes]
        homes |= dict.fromkeys(own, file)
        result[f"{file}.py"] = _module(file, about, own, types, descriptions, homes)
    return {"__init__.py": _package()} | result


def class_name(type_name: str) -> str:
    """Return the name of the TypedDict of a type.

    >>> class_name("io.k8s.api.core.v1.Pod")
    'PodDict'
    """
    return f"{type_name.rpartition('.')[2]}Dict"


def python_type(schema: Schema, names: Mapping[str, str]) -> str:
    """Return the annotation of a field.

    Args:
        schema: of the field.
        names: annotation of each type that may be referred to, by component name.
    """
    reference = str(schema.get("$ref", "")).removeprefix(REF)
    if reference:
        return names[reference]
    if schema.get("x-kubernetes-int-or-string"):
        return "int | str"
    if schema.get("x-kubernetes-quantity"):
        return "str | float"
    if schema.get("type") == "array":
        return f"list[{python_type(schema['items'], names)}]"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"dict[str, {python_type(schema['additionalProperties'], names)}]"
    return PLAIN.get(str(schema.get("type")), "dict[str, object]")


def _reached(types: Mapping[str, Schema], roots: tuple[str, ...]) -> list[str]:
    """Return the types that some types refer to, at any depth, and these; parts come first."""
    reached: dict[str, None] = {}

    def visit(name: str) -> None:
        schema = types[name]
        if name in reached or not schema.get("properties"):
            return
        for part in schema["properties"].values():
            for reference in _references(part):
                visit(reference)
        reached[name] = None

    for root in roots:
        visit(root)
    return list(reached)


def _references(schema: Schema) -> list[str]:
    parts = [schema, schema.get("items"), schema.get("additionalProperties")]
    return [
        str(part["$ref"]).removeprefix(REF)
        for part in parts
        if isinstance(part, dict) and "$ref" in part
    ]


def _module(
    file: str,
    about: str,
    own: list[str],
    types: Mapping[str, Schema],
    descriptions: Mapping[str, tuple[str, dict[str, str]]],
    homes: Mapping[str, str],
) -> str:
    names: dict[str, str] = {}
    for name, schema in types.items():
        short = class_name(name)
        if not schema.get("properties"):
            names[name] = python_type({**schema, "$ref": ""}, {})
        elif name in homes:
            names[name] = short if homes[name] == file else f"{homes[name]}.{short}"
    classes = [_class(name, types[name], descriptions[name][0], names) for name in own]
    body = "\n\n\n".join(classes)
    used = sorted({home for home in re.findall(r"\b(\w+)\.\w+Dict\b", body) if home in FILES})
    imports = f"from kubesim.objects.types import {', '.join(used)}\n" if used else ""
    head = f'"""{about}\n\n{HEADER}\n"""\n\nfrom __future__ import annotations\n\n'
    head += "from typing import TypedDict\n"
    return head + (f"\n{imports}" if imports else "") + f"\n\n{body}\n"


def _class(name: str, schema: Schema, description: str, names: Mapping[str, str]) -> str:
    short = class_name(name)
    lines = [f"class {short}(TypedDict, total=False):", *_docstring(short, description), ""]
    for field, part in schema["properties"].items():
        if keyword.iskeyword(field) or not field.isidentifier():
            raise ValueError(f"{name}.{field} cannot be a field of a class")
        lines.append(f"    {field}: {python_type(part, names)}")
    return "\n".join(lines)


def _docstring(short: str, description: str) -> list[str]:
    """Return the first sentence of a description as the lines of a docstring."""
    sentence = description.replace("\\", "").replace('"', "'").partition(". ")[0].rstrip(".")
    docstring = f'"""{sentence or short}.'
    lines = textwrap.wrap(docstring, WIDTH - 4 - 3, break_long_words=False, break_on_hyphens=False)
    if len(lines) == 1:
        return [f'    {lines[0]}"""']
    return [*(f"    {line}" for line in lines), '    """']


def _package() -> str:
    lines = [PACKAGE]
    for file, exported in sorted(EXPORTED.items()):
        names = sorted(map(class_name, exported), key=str.casefold)
        line = f"from kubesim.objects.types.{file} import {', '.join(names)}"
        if len(line) > WIDTH:
            listed = "".join(f"    {name},\n" for name in names)
            line = f"from kubesim.objects.types.{file} import (\n{listed})"
        lines.append(line)
    names_of_all = sorted(class_name(name) for parts in EXPORTED.values() for name in parts)
    return "\n".join(
        [*lines, "", "__all__ = [", *(f'    "{name}",' for name in names_of_all), "]", ""]
    )
