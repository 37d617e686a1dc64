"""Group discovery.k8s.io: EndpointSlice.

Source: pkg/apis/discovery/v1/defaults.go, pkg/apis/discovery/validation/validation.go.
"""

from __future__ import annotations

from kubesim.apiserver.kindrules.endpoints import validate_slice
from kubesim.apiserver.kinds.rules import validate_immutable
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in


def default_slice(endpoints: Document) -> None:
    """Set empty endpoints; default ports to TCP with an empty name."""
    fill(endpoints, "endpoints", [])
    for port in objects_in(endpoints.get("ports")):
        fill(port, "name", "")
        fill(port, "protocol", "TCP")


def validate_slice_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the address type.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    validate_immutable(new.get("addressType"), old.get("addressType"), "addressType", errors)


KINDS = (
    Kind(
        "EndpointSlice",
        "endpointslices",
        group="discovery.k8s.io",
        default=default_slice,
        validate=validate_slice,
        validate_update=validate_slice_update,
        status=False,
    ),
)
