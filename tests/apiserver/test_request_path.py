"""The path of a request: how many files of kubesim it enters (benchmarks/request_path.py).

The numbers are deterministic. MOST_FILES is raised only for a file that is a room of its own.
"""

from __future__ import annotations

import pytest

from benchmarks.request_path import MOST_FILES, RELEASE_0_2_0, counts, find_passes


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


def test_each_pass_of_the_autoscaler_enters_at_most_half_the_files() -> None:
    """In minutes with and without load, for the largest pass of each sort."""
    passes = find_passes(seconds=240.0)
    rescaling, ordinary = passes.rescaling.counts[0], passes.ordinary.counts[0]
    assert 0 < rescaling <= RELEASE_0_2_0["HPA pass that rescales"][0] / 2
    assert 0 < ordinary <= RELEASE_0_2_0["HPA pass that keeps the size"][0] / 2


def test_no_pass_renders_its_explanation() -> None:
    """What-if and steps are rendered when somebody reads the record."""
    passes = find_passes()
    for profile in (passes.rescaling, passes.ordinary):
        assert not {path for path in profile.calls if path.endswith(("whatif.py", "steps.py"))}
