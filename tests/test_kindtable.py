"""The list of kinds counts itself: against the schemas of Kubernetes and against the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubesim import kindtable
from kubesim.__main__ import main
from kubesim.apiserver.bootstrap import default_registry
from kubesim.apiserver.schema import data
from kubesim.kindtable import KEPT, LEFT_OUT, SIMULATED, kind_rows

ROOT = Path(__file__).resolve().parent.parent
ROWS_OF_ALL = {(row.api_version, row.kind): row for row in kind_rows()}
ROWS = dict(ROWS_OF_ALL)


def test_every_kind_of_kubernetes_has_one_row() -> None:
    """Lists and the types of meta/v1, which are of every group, are not counted."""
    kinds = {
        tuple(name.split(" "))
        for name, component in data.kinds().items()
        if not component.startswith("io.k8s.apimachinery.") and not name.endswith("List")
    }
    assert set(ROWS) == kinds
    assert len(kind_rows()) == len(ROWS) > 85


def test_the_states_are_those_of_the_registry() -> None:
    """Served kinds are simulated or kept, as the registry says; the others are left out."""
    for kind in default_registry().kinds():
        if kind.group == "metrics.k8s.io":
            continue  # of metrics-server, not of Kubernetes
        for group, version in kind.group_versions():
            row = ROWS.pop((f"{group}/{version}" if group else version, kind.kind))
            assert row.state == (KEPT if kind.kept else SIMULATED)
            is_stable = version in ("v1", "v2")
            note = kind.kept or kind.partly
            assert row.note == (note if is_stable else f"{note}; off by default in Kubernetes")
            assert row.names.split(", ") == [kind.plural, *kind.short_names]
    requests = {kind for (_, kind), row in ROWS.items() if row.state == SIMULATED}
    assert {"Binding", "Eviction", "Scale", "SubjectAccessReview", "TokenReview"} <= requests
    assert {row.state for row in ROWS.values()} <= {SIMULATED, LEFT_OUT}


def test_what_a_component_reads_is_not_only_kept() -> None:
    """Admission reads RuntimeClasses and the default IngressClass, attachment reads CSIDrivers."""
    for api_version, kind in (
        ("node.k8s.io/v1", "RuntimeClass"),
        ("networking.k8s.io/v1", "IngressClass"),
        ("storage.k8s.io/v1", "CSIDriver"),
    ):
        row = ROWS_OF_ALL[api_version, kind]
        assert row.state == SIMULATED
        assert row.note  # and what of it does not happen


def test_what_is_left_out_by_default_in_kubernetes_says_so() -> None:
    """Alpha and beta versions."""
    for row in kind_rows():
        if row.state == LEFT_OUT and ("alpha" in row.api_version or "beta" in row.api_version):
            assert row.note == "off by default in Kubernetes, too"


def test_what_is_served_although_kubernetes_has_it_off_says_so() -> None:
    """MutatingAdmissionPolicy is alpha and beta in 1.34, and off; manifests hold it anyway."""
    versions = ("v1alpha1", "v1beta1")
    for kind in ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"):
        for version in versions:
            row = ROWS_OF_ALL[f"admissionregistration.k8s.io/{version}", kind]
            assert row.state == KEPT
            assert row.note.endswith("; off by default in Kubernetes")
    noted = {row.kind for row in kind_rows() if row.note.endswith("off by default in Kubernetes")}
    assert noted == {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}


def test_command_and_page_show_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m kubesim kinds`, its Markdown, and the page of the site, which is in the menu."""
    assert main(["kinds"]) == 0
    printed = capsys.readouterr().out
    assert main(["kinds", "--markdown"]) == 0
    page = capsys.readouterr().out
    assert page == kindtable.page()
    for row in kind_rows():
        assert row.kind in printed
        cells = [row.kind, row.api_version, row.names or "", row.state, row.note]
        assert f"| {' | '.join(cells)} |".replace("|  |", "| |") in page
    assert kindtable.summary() in printed
    assert kindtable.summary() in page
    assert "      - Kinds: kinds.md" in (ROOT / "mkdocs.yml").read_text()
    assert 'yield "kinds.md", kindtable.page()' in (ROOT / "tools" / "docs_site.py").read_text()
