"""Fixtures of the API server's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_builders import make_api

from kubesim.apiserver import KubeAPI
from kubesim.clock import LiveClock


@pytest.fixture
def api() -> KubeAPI:
    """A server on virtual time."""
    return make_api()


@pytest.fixture
def live_api() -> Iterator[KubeAPI]:
    """A server on a fast live clock."""
    clock = LiveClock(speed=20.0)
    yield make_api(clock)
    clock.close()
