"""The glossary: each term once, in order, with a file that exists; the words that people search."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
PLACE = re.compile(r"`([^`]+)`(?: \(`([^`]+)`\))?")
SEARCHED = """
    admission, adoption, backoff limit, bookmark, compaction, completion index, crash loop
    back-off, cron schedule, custom resource definition, decision record, endpoint slice,
    eviction, expectations, field selector, finalizer, image pull back-off, informer, init
    container, label selector, lease, limit range, managedFields, node affinity, owner
    reference, partition, pod disruption budget, preemption, priority class, QoS class, quota,
    readiness probe, reconcile, resourceVersion, resync, revision history, rolling update,
    server-side apply, sidecar, slow start, stabilization window, strategic merge patch, surge,
    taint, toleration, topology spread, virtual time, watch, work queue, completion mode,
    concurrency policy, generateName, headless service, HPA behavior, liveness probe,
    minReadySeconds, percentage of nodes to score, pod affinity, pod management policy, pod
    template hash, RBAC rule, readiness gate, time to live
"""


class GlossaryRow(NamedTuple):
    """One row: the cells of the table."""

    term: str
    meaning: str
    upstream: str
    places: str


def glossary() -> list[GlossaryRow]:
    """Return the rows of the glossary's one table."""
    lines = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("|")]
    assert lines[0] == "| term | meaning | Kubernetes' word | where it lives |"
    return [GlossaryRow(*(cell.strip() for cell in line[1:-1].split("|"))) for line in lines[2:]]


def test_terms_are_unique_and_sorted() -> None:
    """A reader finds a term at its place in the alphabet, and finds it once."""
    terms = [row.term.lower() for row in glossary()]
    assert len(terms) > 200
    assert terms == sorted(set(terms))


def test_every_row_is_complete() -> None:
    """Each term has a meaning, a word of Kubernetes or a dash, and a place."""
    assert [row for row in glossary() if not all(row)] == []


def test_every_term_lives_where_the_glossary_says() -> None:
    """Each path exists, and a name beside it occurs in that file."""
    wrong = []
    for row in glossary():
        places = PLACE.findall(row.places)
        assert places, row
        for path, name in places:
            file = ROOT / path
            if not file.exists() or (name and not re.search(rf"\b{name}\b", file.read_text())):
                wrong.append((row.term, path, name))
    assert not wrong


@pytest.mark.parametrize("word", [" ".join(word.split()) for word in SEARCHED.split(",")])
def test_a_word_that_a_newcomer_searches_is_there(word: str) -> None:
    """The words of Kubernetes lead to a file."""
    assert word in {row.term for row in glossary()}
