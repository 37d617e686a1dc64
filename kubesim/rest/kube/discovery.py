"""Discovery: which groups, versions and resources are served, and with which verbs.

Both forms are generated from the registry of kinds: the legacy documents (one per group and
version) that Python clients and kopf read, and the aggregated document that kubectl prefers.

The core group comes first and metrics.k8s.io last: both have ``pods`` and ``nodes``, and clients
use the first match.

Source: k8s.io/apiserver/pkg/endpoints/discovery (and aggregated/); k8s.io/api/apidiscovery.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubesim.apiserver.clusterkinds.certificates import APPROVAL
from kubesim.apiserver.registry import Kind, Registry
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import METRICS_GROUP
from kubesim.rest.kube.reviews import REVIEWS
from kubesim.version import KUBERNETES_VERSION

CHANGE_VERBS = ("get", "patch", "update")
AGGREGATED = ("v2", "v2beta1")  # versions of apidiscovery.k8s.io, the preferred one first
POD_SUBRESOURCES = {
    "attach": ("", "v1", "PodAttachOptions", ("create", "get")),
    "binding": ("", "v1", "Binding", ("create",)),
    "eviction": ("policy", "v1", "Eviction", ("create",)),
    "exec": ("", "v1", "PodExecOptions", ("create", "get")),
    "log": ("", "v1", "Pod", ("get",)),
    "portforward": ("", "v1", "PodPortForwardOptions", ("create", "get")),
}
BUILD = {
    "major": KUBERNETES_VERSION.partition(".")[0],
    "minor": KUBERNETES_VERSION.partition(".")[2],
    "gitVersion": f"v{KUBERNETES_VERSION}.0",
    "gitCommit": "kubesim",
    "gitTreeState": "clean",
    "buildDate": "2025-08-27T10:17:43Z",
    "goVersion": "none: python",
    "compiler": "cpython",
    "platform": "kubesim/any",
}
ONLY_CREATED = (
    Kind("Binding", "bindings", status=False, verbs=("create",)),
    *(review.resource for review in REVIEWS.values()),
)
"""Kinds that are served and never stored."""


class Subresource(NamedTuple):
    """A subresource: ``status``, ``scale`` ..."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


class Resource(NamedTuple):
    """A resource that is served.

    Attributes:
        group, version, plural, kind, namespaced: its identity.
        verbs: supported verbs.
        short_names, categories, singular: further names that kubectl accepts.
        subresources: its subresources.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    singular: str = ""
    subresources: tuple[Subresource, ...] = ()

    @property
    def api_version(self) -> str:
        """``apps/v1``, or ``v1`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


def resources(registry: Registry) -> list[Resource]:
    """Return all served resources, in the order in which clients should prefer them."""
    served = []
    for kind in registry.kinds():
        served += [_resource(kind, *where) for where in kind.group_versions()]
    served += [_resource(kind, kind.group, kind.version) for kind in ONLY_CREATED]
    order = {group: index for index, group in enumerate(dict.fromkeys(r.group for r in served))}
    order[""], order[METRICS_GROUP] = -1, len(order)
    return sorted(served, key=lambda resource: order[resource.group])


def _resource(kind: Kind, group: str, version: str) -> Resource:
    subresources = []
    if kind.status and not kind.read_only:
        subresources.append(Subresource("status", group, version, kind.kind, CHANGE_VERBS))
    if kind.scale:
        subresources.append(Subresource("scale", "autoscaling", "v1", "Scale", CHANGE_VERBS))
    if kind.qualified_kind == APPROVAL.qualified_kind:
        subresources.append(Subresource("approval", group, version, kind.kind, CHANGE_VERBS))
    if kind.qualified_kind == "Namespace":
        subresources.append(Subresource("finalize", kind.group, version, kind.kind, ("update",)))
    if kind.qualified_kind == "ServiceAccount":
        token = Subresource("token", "authentication.k8s.io", "v1", "TokenRequest", ("create",))
        subresources.append(token)
    if kind.qualified_kind == "Pod":
        subresources += [Subresource(name, *rest) for name, rest in POD_SUBRESOURCES.items()]
    return Resource(
        group,
        version,
        kind.plural,
        kind.kind,
        kind.namespaced,
        kind.verbs,
        kind.short_names,
        kind.categories,
        kind.singular,
        tuple(sorted(subresources)),
    )


def group_versions(served: Iterable[Resource]) -> dict[str, list[str]]:
    """Return the versions of each group, the preferred one first; the core group is ""."""
    groups: dict[str, list[str]] = {}
    for resource in served:
        versions = groups.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
    return groups


# -- the legacy documents ------------------------------------------------------------------------


def api_versions(address: str) -> Document:
    """Return the document of GET /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def api_group(name: str, versions: list[str]) -> Document:
    """Return the document of GET /apis/GROUP."""
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": listed,
        "preferredVersion": listed[0],
    }


def api_groups(served: Iterable[Resource]) -> Document:
    """Return the document of GET /apis."""
    groups = [
        {key: value for key, value in api_group(name, versions).items() if key[0] not in "ka"}
        for name, versions in group_versions(served).items()
        if name
    ]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_resources(served: Iterable[Resource], group: str, version: str) -> Document | None:
    """Return the document of GET /api/v1 or /apis/GROUP/VERSION; None if it is not served.

    Args:
        served: all served resources.
        group, version: the requested ones; the core group is "".
    """
    listed = []
    for resource in served:
        if (resource.group, resource.version) != (group, version):
            continue
        entry: Document = {
            "name": resource.plural,
            "singularName": resource.singular or resource.kind.lower(),
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        listed.append(entry)
        for part in resource.subresources:
            entry = {
                "name": f"{resource.plural}/{part.name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": part.kind,
                "verbs": list(part.verbs),
            }
            if (part.group, part.version) != (group, version):
                entry |= {"group": part.group, "version": part.version}
            listed.append(entry)
    if not listed:
        return None
    name = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": name,
        "resources": listed,
    }


# -- the aggregated document ---------------------------------------------------------------------


def aggregated(served: Iterable[Resource], version: str, *, core: bool) -> Document:
    """Return GET /api (core) or GET /apis as one APIGroupDiscoveryList.

    Args:
        served: all served resources.
        version: of apidiscovery.k8s.io.
        core: only the core group, otherwise all other groups.
    """
    selected = [resource for resource in served if (resource.group == "") == core]
    items = []
    for group, versions in group_versions(selected).items():
        listed = [
            {
                "version": name,
                "freshness": "Current",
                "resources": [_entry(r) for r in selected if (r.group, r.version) == (group, name)],
            }
            for name in versions
        ]
        metadata: Document = {"name": group} if group else {}
        items.append({"metadata": metadata | {"creationTimestamp": None}, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def aggregated_type(version: str) -> str:
    """Return the Content-Type that marks the aggregated form."""
    return f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


def _entry(resource: Resource) -> Document:
    entry: Document = {
        "resource": resource.plural,
        "responseKind": _gvk(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": part.name,
                "responseKind": _gvk(part.group, part.version, part.kind),
                "verbs": list(part.verbs),
            }
            for part in resource.subresources
        ]
    return entry


def _gvk(group: str, version: str, kind: str) -> Document:
    return {"group": group, "version": version, "kind": kind}
