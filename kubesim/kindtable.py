"""Which kinds of Kubernetes are simulated, which are only kept, and which are left out.

The list counts itself: its rows are the kinds of Kubernetes' generated schemas, and the registry of
the API server says what it does with each. ``python -m kubesim kinds`` prints it, and `page()` is a
page of the documentation site.

>>> rows = {(row.api_version, row.kind): row for row in kind_rows()}
>>> rows["apps/v1", "Deployment"].state, rows["networking.k8s.io/v1", "Ingress"].state
('simulated', 'only kept')
>>> rows["networking.k8s.io/v1", "Ingress"].note
'no traffic passes through it'
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from kubesim.apiserver.bootstrap import default_registry
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema import data
from kubesim.rest.kube.discovery import resources
from kubesim.table import Table
from kubesim.version import KUBERNETES_VERSION

SIMULATED, KEPT, LEFT_OUT = "simulated", "only kept", "left out"
META_TYPES = "io.k8s.apimachinery."  # Status, WatchEvent, DeleteOptions ...: of every group
OFF = "off by default in Kubernetes, too"
ON_HERE = "off by default in Kubernetes"  # of a version that is served all the same
INTRODUCTION = f"""# Kinds

Every kind of Kubernetes {KUBERNETES_VERSION}, and what kubesim does with it.
`python -m kubesim kinds` prints the same list: both come from the registry of the API server.

- **simulated**: components act on it as in Kubernetes, or the API server answers it (requests such
  as `SubjectAccessReview`). Of a few kinds, one part is left out: the last column says which.
- **only kept**: validated, defaulted, stored, listed, watched and shown as by Kubernetes, so that
  manifests, charts and clients work. The last column says what does not happen, and so does a
  `Warning` when an object is created.
- **left out**: not served (404).

"""


class KindRow(NamedTuple):
    """One kind in one version.

    Attributes:
        api_version: for example ``apps/v1``.
        kind: for example ``Deployment``.
        names: its plural and short names; "": it is a request, or left out.
        state: simulated, only kept or left out.
        note: what does not happen; "": nothing to say.
    """

    api_version: str
    kind: str
    names: str
    state: str
    note: str


def kind_rows() -> list[KindRow]:
    """Return a row for each kind of Kubernetes, by group, with stable versions first."""
    registry = default_registry()
    served = {
        (f"{group}/{version}" if group else version, kind.kind): kind
        for kind in registry.kinds()
        for group, version in kind.group_versions()
    }
    requests: set[tuple[str, str]] = set()
    for resource in resources(registry):
        requests.add((resource.api_version, resource.kind))
        for part in resource.subresources:
            version = f"{part.group}/{part.version}" if part.group else part.version
            requests.add((version, part.kind))
    rows = []
    for name, component in data.kinds().items():
        api_version, _, kind = name.partition(" ")
        if component.startswith(META_TYPES) or kind.endswith("List"):
            continue
        identity = (api_version, kind)
        rows.append(_row(identity, served.get(identity), identity in requests))
    return sorted(rows, key=_order)


def _row(identity: tuple[str, str], kind: Kind | None, is_request: bool) -> KindRow:
    unstable = "alpha" in identity[0] or "beta" in identity[0]
    if kind is not None:
        names = ", ".join((kind.plural, *kind.short_names))
        note = "; ".join(filter(None, (kind.kept or kind.partly, ON_HERE if unstable else "")))
        return KindRow(*identity, names, KEPT if kind.kept else SIMULATED, note)
    if is_request:
        return KindRow(*identity, "", SIMULATED, "")
    return KindRow(*identity, "", LEFT_OUT, OFF if unstable else "")


def _order(row: KindRow) -> tuple[str, bool, str, str]:
    group, _, version = row.api_version.rpartition("/")
    return group, not version.isdigit() and version != "v1", version, row.kind


def table() -> Table:
    """Return the list as a table."""
    return Table(("kind", "apiVersion", "names", "state", "note"), [_cells(r) for r in kind_rows()])


def _cells(row: KindRow) -> tuple[str, ...]:
    return row.kind, row.api_version, row.names, row.state, row.note


def summary() -> str:
    """Return how many kinds are in each state."""
    counts = Counter(row.state for row in kind_rows())
    return ", ".join(f"{counts[state]} {state}" for state in (SIMULATED, KEPT, LEFT_OUT))


def page() -> str:
    """Return the page of the documentation, as Markdown."""
    lines = [
        "| kind | apiVersion | names | state | what does not happen |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(_cells(row))} |".replace("|  |", "| |") for row in kind_rows()]
    total = f"Kinds by version: {summary()}.\n\n"
    return INTRODUCTION + total + "\n".join(lines) + "\n"
