"""TypedDicts of Endpoints; the generated ones of EndpointSlice have the same class names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

from kubesim.objects.kindnames import KindName

if TYPE_CHECKING:
    from kubesim.objects.types import EndpointPortDict, ObjectMetaDict, ObjectReferenceDict


class EndpointAddressDict(TypedDict, total=False):
    """One address of a subset."""

    ip: str
    hostname: str
    nodeName: str
    targetRef: ObjectReferenceDict


class EndpointSubsetDict(TypedDict, total=False):
    """Addresses that have the same ports."""

    addresses: list[EndpointAddressDict]
    notReadyAddresses: list[EndpointAddressDict]
    ports: list[EndpointPortDict]


class EndpointsDict(TypedDict, total=False):
    """The addresses and ports of one Service."""

    apiVersion: str
    kind: str
    metadata: ObjectMetaDict
    subsets: list[EndpointSubsetDict]


ENDPOINTS = cast("KindName[EndpointsDict]", "Endpoints")
