"""The path of a request: how many files of kubesim it enters (benchmarks/request_path.py).

The numbers are deterministic. MOST_FILES is raised only for a file that is a room of its own.
"""

from __future__ import annotations

import pytest

from benchmarks.request_path import MOST_FILES, RELEASE_0_2_0, counts


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[int, int]]:
    """(files entered, calls made) by request."""
    return counts()


@pytest.mark.parametrize("request_name", MOST_FILES)
def test_a_request_enters_few_files(
    request_name: str, measured: dict[str, tuple[int, int]]
) -> None:
    """Each request enters at most so many files, and makes no more calls than in release 0.2.0."""
    files, calls = measured[request_name]
    assert files <= MOST_FILES[request_name]
    assert calls <= RELEASE_0_2_0[request_name][1]
