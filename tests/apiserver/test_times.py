"""Times are decoded as Go decodes them: refused in its words, and stored in UTC."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_node

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.schema.times import canonical_time, micro_time_error, time_error
from kubesim.errors import BadRequest, Invalid

LAYOUT = "2006-01-02T15:04:05Z07:00"
MICRO = "2006-01-02T15:04:05.000000Z07:00"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", f'parsing time "" as "{LAYOUT}": cannot parse "" as "2006"'),
        ("2025", f'parsing time "2025" as "{LAYOUT}": cannot parse "" as "-"'),
        ("2025-1-1", f'parsing time "2025-1-1" as "{LAYOUT}": cannot parse "1-1" as "01"'),
        ("2025-13-01T00:00:00Z", 'parsing time "2025-13-01T00:00:00Z": month out of range'),
        ("2025-02-29T00:00:00Z", 'parsing time "2025-02-29T00:00:00Z": day out of range'),
        ("2025-01-01T24:00:00Z", 'parsing time "2025-01-01T24:00:00Z": hour out of range'),
        (
            "2025-01-01 00:00:00Z",
            f'parsing time "2025-01-01 00:00:00Z" as "{LAYOUT}": cannot parse " 00:00:00Z" as "T"',
        ),
        (
            "2025-01-01T00:00:00",
            f'parsing time "2025-01-01T00:00:00" as "{LAYOUT}": cannot parse "" as "Z07:00"',
        ),
        ("2025-01-01T00:00:00Zz", 'parsing time "2025-01-01T00:00:00Zz": extra text: "z"'),
        ("2024-02-29T00:00:00.123456789-05:30", ""),
    ],
)
def test_what_is_no_time_is_refused_in_go_s_words(text: str, error: str) -> None:
    """As ParseError.Error words it."""
    assert time_error(text) == error


def test_a_micro_time_has_six_digits() -> None:
    """As a Lease and an Event have it."""
    assert micro_time_error("2025-01-31T00:00:00.000000Z") == ""
    text = "2025-01-31T00:00:00Z"
    expected = f'parsing time "{text}" as "{MICRO}": cannot parse "Z" as ".000000"'
    assert micro_time_error(text) == expected


def test_times_are_written_in_utc() -> None:
    """To the second, or to the microsecond; what is no time, or leaves the calendar, stays."""
    assert canonical_time("2025-01-01T00:30:00.9+01:00") == "2024-12-31T23:30:00Z"
    micro = canonical_time("2025-01-01T00:30:00.900001+01:00", micro=True)
    assert micro == "2024-12-31T23:30:00.900001Z"
    for text in ("x", "0001-01-01T00:00:00+01:00"):
        assert canonical_time(text) == text


@pytest.mark.parametrize("field", ["creationTimestamp", "deletionTimestamp"])
def test_a_malformed_time_of_the_metadata_is_refused(api: KubeAPI, field: str) -> None:
    """Although the server sets it; null is none."""
    document: dict[str, Any] = {"kind": "ConfigMap", "metadata": {"name": "a", field: "x"}}
    about = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: parsing time "x" as'
    with pytest.raises(BadRequest, match=about):
        api.create(document)
    document["metadata"][field] = None
    api.create(document)


def test_a_malformed_time_reaches_no_controller() -> None:
    """A status of a CronJob, a Lease, a taint: refused, and no component stumbles."""
    with Cluster(nodes=1, seed=1) as cluster:
        cluster.sleep(5)
        api = cluster.api
        template = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}
        job = {"spec": {"template": {"spec": template}}}
        spec = {"schedule": "* * * * *", "jobTemplate": job}
        api.create({"kind": "CronJob", "metadata": {"name": "a"}, "spec": spec})
        status = {"status": {"lastScheduleTime": "x"}}
        with pytest.raises(Invalid, match="parsing time"):
            api.patch("CronJob", "a", status, subresource="status", patch_type="merge")
        lease = {"spec": {"renewTime": "2025-01-01T00:00:00Z"}}
        with pytest.raises(Invalid, match="parsing time"):
            api.patch("Lease", "node-1", lease, namespace="kube-node-lease", patch_type="merge")
        taint = {"key": "a", "effect": "NoExecute", "timeAdded": "x"}
        with pytest.raises(BadRequest, match="parsing time"):
            api.create(a_node("other") | {"spec": {"taints": [taint]}})
        cluster.sleep(120)
        assert not cluster.analytics.since(level="error").rows


def test_a_time_with_an_offset_is_stored_in_utc(api: KubeAPI) -> None:
    """As a client reads it back from a real server."""
    taint = {"key": "a", "effect": "NoExecute", "timeAdded": "2025-01-01T01:00:00+01:00"}
    stored = api.create(a_node("other") | {"spec": {"taints": [taint]}})
    assert stored["spec"]["taints"][0]["timeAdded"] == "2025-01-01T00:00:00Z"
