"""`kubectl get`: objects as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.printers.table import table_for
from kubesim.objects import meta
from kubesim.objects.kindnames import POD
from kubesim.table import Table

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


class GetOptions(TypedDict, total=False):
    """Options of `get_table`."""

    namespace: str | None
    wide: bool
    label_selector: str
    field_selector: str


def pods_table(api: KubeAPI, namespace: str | None = None) -> Table:
    """Return the pods by name: phase, node, CPU in millicores, memory in MB, restarts.

    Args:
        api: the API server.
        namespace: None: all namespaces.
    """
    pods, _ = api.snapshot(POD, namespace)
    rows = [_pod_row(api, pod) for pod in pods]
    return Table(
        ("pod", "status", "node", "cpu [m]", "memory [MB]", "restarts"), sorted(rows), "pods"
    )


def get_table(
    api: KubeAPI,
    kind: str,
    name: str = "",
    *,
    namespace: str | None = None,
    wide: bool = False,
    label_selector: str = "",
    field_selector: str = "",
) -> Table:
    """Return the table that `kubectl get` shows.

    Args:
        api: the API server.
        kind: any name of the kind.
        name: of one object; "": all objects.
        namespace: None: ``default`` for one object, all namespaces for a list.
        wide: add the columns of ``-o wide``.
        label_selector, field_selector: list only these objects.

    Raises:
        NotFound: no such kind or object.
        BadRequest: a selector that cannot be parsed.
    """
    resource = api.registry.find(kind)
    if name:
        objects = [api.get(kind, name, namespace)]
    else:
        objects = api.list(
            kind, namespace, label_selector=label_selector, field_selector=field_selector
        )["items"]
    columns, rows = table_for(resource, objects, api.clock, api.clock.now(), wide=wide)
    headings = [str(column["name"]) for column in columns]
    if resource.namespaced and not name and namespace is None:
        headings.insert(0, "Namespace")
        rows = [[meta.namespace_of(o), *row] for o, row in zip(objects, rows, strict=True)]
    return Table(headings, rows)


def _pod_row(api: KubeAPI, pod: PodDict) -> tuple[object, ...]:
    sample = api.sample(meta.namespace_of(pod), meta.name_of(pod))
    containers = sample[2] if sample else ()
    status = pod.get("status", {})
    return (
        meta.name_of(pod),
        "Terminating" if meta.is_terminating(pod) else status.get("phase", "Pending"),
        pod["spec"].get("nodeName", ""),
        sum(container[1] for container in containers),
        sum(container[2] for container in containers) // 1_000_000,
        sum(c.get("restartCount", 0) for c in status.get("containerStatuses", ())),
    )
