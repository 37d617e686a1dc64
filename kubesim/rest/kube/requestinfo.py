"""Request info: which resource, namespace, object and subresource a path names.

    /api/v1/namespaces/shop/pods/web-0/log            the log of a pod
    /apis/apps/v1/namespaces/shop/deployments         the deployments of a namespace
    /apis/apps/v1/deployments                         the deployments of all namespaces
    /api/v1/nodes/node-1/status                       the status of a cluster-scoped object

>>> info = parse_request_info(("api", "v1", "namespaces", "shop", "pods", "web-0", "log"))
>>> info.plural, info.namespace, info.name, info.subresource
('pods', 'shop', 'web-0', 'log')
>>> parse_request_info(("api", "v1", "namespaces", "shop")).name
'shop'

Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
"""

from __future__ import annotations

from typing import NamedTuple

from kubesim.apiserver.registry import Kind, Registry
from kubesim.apiserver.verbs.versions import in_version
from kubesim.errors import NotFound
from kubesim.objects.frozen import Document

NO_RESOURCE = "the server could not find the requested resource"
NAMESPACE_SUBRESOURCES = ("status", "finalize")  # below namespaces/NAME; all else is a resource


class RequestInfo(NamedTuple):
    """The parts of a path.

    Attributes:
        group, version: of the API; the core group is "".
        plural: the resource.
        namespace: "" if the path names none.
        name: of the object; "" for all of them.
        subresource: for example ``status``; "" for the object itself.
    """

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


class Target(NamedTuple):
    """A request info and the registered kind that it names.

    Attributes:
        info: the parts of the path.
        kind: the kind of the objects.
    """

    info: RequestInfo
    kind: Kind

    @property
    def namespace(self) -> str | None:
        """The namespace as the verbs of KubeAPI take it; None: all, or the kind has none."""
        return self.info.namespace or None

    @property
    def api_version(self) -> str:
        """``apps/v1``, or ``v1`` for the core group."""
        group, version = self.info.group, self.info.version
        return f"{group}/{version}" if group else version

    def outward(self, document: Document) -> Document:
        """Convert a stored object to the version that the path names."""
        shown = in_version(self.kind, document, self.api_version)
        if "status" in shown or not self.kind.status or self.kind.custom:
            return shown
        return {**shown, "status": {}}  # typed clients expect a status, if only an empty one


def parse_request_info(segments: tuple[str, ...]) -> RequestInfo | None:
    """Parse the segments of a path below a group and version; None for any other path."""
    if segments[:2] == ("api", "v1"):
        group, version, rest = "", "v1", segments[2:]
    elif segments[:1] == ("apis",) and len(segments) > 3 and segments[1]:
        group, version, rest = segments[1], segments[2], segments[3:]
    else:
        return None
    if rest and rest[-1] == "":
        rest = rest[:-1]  # a trailing slash is ignored
    if not rest or "" in rest:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
        namespace, rest = rest[1], rest[2:]
    plural, name = rest[0], rest[1] if len(rest) > 1 else ""
    return RequestInfo(group, version, plural, namespace, name, "/".join(rest[2:]))


def resolve(registry: Registry, info: RequestInfo) -> Target:
    """Find the kind that a request info names.

    Raises:
        NotFound: no such kind, or it is not served at such a path.
    """
    kind = registry.at(info.group, info.version, info.plural)
    if kind is None or (info.namespace and not kind.namespaced):
        raise NotFound(NO_RESOURCE)
    if info.name and kind.namespaced and not info.namespace:
        raise NotFound(NO_RESOURCE)  # a namespaced object is only served inside its namespace
    return Target(info, kind)
