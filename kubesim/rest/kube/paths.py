"""Which object a path means.

    /api/v1/namespaces/shop/pods/web-0/log            the log of a pod
    /apis/apps/v1/namespaces/shop/deployments         the deployments of a namespace
    /apis/apps/v1/deployments                         those of all namespaces
    /api/v1/nodes/node-1/status                       the status of an object without namespace

>>> place = parse_place(("api", "v1", "namespaces", "shop", "pods", "web-0", "log"))
>>> place.plural, place.namespace, place.name, place.subresource
('pods', 'shop', 'web-0', 'log')
>>> parse_place(("api", "v1", "namespaces", "shop")).name
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
OF_NAMESPACES = ("status", "finalize")  # subresources; anything else inside is a resource


class Place(NamedTuple):
    """A path in parts.

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
    """A place whose kind is known.

    Attributes:
        place: the path in parts.
        kind: of its objects.
    """

    place: Place
    kind: Kind

    @property
    def namespace(self) -> str | None:
        """What the verbs of KubeAPI call the namespace; None: all, or no such thing."""
        return self.place.namespace or None

    @property
    def api_version(self) -> str:
        """As the client writes it."""
        group, version = self.place.group, self.place.version
        return f"{group}/{version}" if group else version

    def outward(self, document: Document) -> Document:
        """An object as the clients of this place see it."""
        shown = in_version(self.kind, document, self.api_version)
        if "status" in shown or not self.kind.status or self.kind.custom:
            return shown
        return {**shown, "status": {}}  # the types of clients have one, if only an empty one


def parse_place(segments: tuple[str, ...]) -> Place | None:
    """The place of a path below a group and version; None if it is none."""
    if segments[:2] == ("api", "v1"):
        group, version, rest = "", "v1", segments[2:]
    elif segments[:1] == ("apis",) and len(segments) > 3 and segments[1]:
        group, version, rest = segments[1], segments[2], segments[3:]
    else:
        return None
    if rest and rest[-1] == "":
        rest = rest[:-1]  # a slash at the end is forgiven
    if not rest or "" in rest:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    plural, name = rest[0], rest[1] if len(rest) > 1 else ""
    return Place(group, version, plural, namespace, name, "/".join(rest[2:]))


def resolve(registry: Registry, place: Place) -> Target:
    """The kind of a place.

    Raises:
        NotFound: there is none, or not at such a path.
    """
    found = registry.at(place.group, place.version, place.plural)
    if found is None or (place.namespace and not found.namespaced):
        raise NotFound(NO_RESOURCE)
    if place.name and found.namespaced and not place.namespace:
        raise NotFound(NO_RESOURCE)  # an object of a namespace can only be asked for inside it
    return Target(place, found)
