"""Further versions of a kind, and where a kind keeps the fields of its scale.

Source: k8s.io/apimachinery/pkg/runtime (Scheme); CustomResourceSubresourceScale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubesim.objects.frozen import Document

Convert = Callable[[Document], Document]


def _same(document: Document) -> Document:
    """Return the document itself: the versions differ in name alone."""
    return document


@dataclass(frozen=True)
class KindVersion:
    """A further version in which a kind is served; the store holds one version alone.

    Attributes:
        version: for example ``v1``.
        group: of another API group in which it is served, too; "": the kind's own group.
        to_stored: converts a document of this version to the stored version; both functions get a
            copy and may change it.
        from_stored: converts a document of the stored version to this one.
        columns, schema, deprecation: as of `Kind`.
    """

    version: str
    to_stored: Convert = _same
    from_stored: Convert = _same
    columns: tuple[Document, ...] = ()
    schema: Document | None = None
    group: str = ""
    deprecation: str = ""


@dataclass(frozen=True)
class ScalePaths:
    """Where a kind keeps the fields of its scale subresource: paths of fields, without index.

    Attributes:
        replicas: the desired number of pods.
        status_replicas: the current number of pods.
        selector: a label selector, as an object or as a string; "": the kind has none.
        is_map: the selector is a map of labels.
    """

    replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "spec.selector"
    is_map: bool = False


WORKLOAD_SCALE = ScalePaths()  # where workloads have it
