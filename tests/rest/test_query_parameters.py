"""Query parameters of the Kubernetes routes are read as upstream reads them.

Source: k8s.io/apimachinery/pkg/runtime/conversion.go (Convert_Slice_string_To_bool).
"""

from __future__ import annotations

import pytest

from kubesim.rest.http.wire import Request
from kubesim.rest.kube.requestinfo import flag, list_query

PATH = "/api/v1/pods"


def request_of(query: str) -> Request:
    """A GET of the pods."""
    return Request("GET", PATH, ("api", "v1", "pods"), query, {})


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", False),
        ("watch=0", False),
        ("watch=false", False),
        ("watch=FALSE", False),
        ("watch=", True),
        ("watch=f", True),
        ("watch=no", True),
        ("watch=1", True),
        ("watch=true", True),
        ("fieldSelector=watch", False),
    ],
)
def test_only_zero_and_false_are_false(query: str, value: bool) -> None:
    """Any other value is true, the empty one, too."""
    assert flag(request_of(query), "watch") is value


@pytest.mark.parametrize(
    ("query", "limit"), [("", None), ("limit=0", None), ("limit=-1", None), ("limit=7", 7)]
)
def test_a_limit_that_is_not_positive_is_none(query: str, limit: int | None) -> None:
    """All objects are listed."""
    assert list_query(request_of(query)).limit == limit
