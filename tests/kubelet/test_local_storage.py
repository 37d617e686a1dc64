"""Eviction of pods that write more than a limit of local storage allows.

Source: pkg/kubelet/eviction/eviction_manager.go (localStorageEviction).
"""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster


def ran(command: str, volume: dict[str, Any] | None = None, **fields: Any) -> Cluster:
    """Return a cluster in which a pod has run a command for half a minute."""
    cluster = Cluster(nodes=1, hpa=False)
    container = {
        "name": "main",
        "image": "busybox",
        "command": ["sh", "-c", f"{command}; sleep 600"],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        **fields,
    }
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web"},
            "spec": {
                "containers": [container],
                "volumes": [{"name": "cache", "emptyDir": volume or {}}],
            },
        }
    )
    cluster.sleep(30)
    return cluster


def status_of(cluster: Cluster) -> dict[str, Any]:
    """Return the pod's status."""
    return dict(cluster.api.get("Pod", "web")["status"])


FILL = "dd if=/dev/zero of=/cache/big bs=1M count=20"
LIMIT = {"limits": {"ephemeral-storage": "10Mi"}}
TOTAL = "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "


@pytest.mark.parametrize(
    ("command", "volume", "fields", "message"),
    [
        (FILL, {"sizeLimit": "10Mi"}, {}, 'EmptyDir volume "cache" exceeds the limit "10Mi". '),
        ("echo 12345 > /cache/x", {"sizeLimit": "5"}, {}, 'volume "cache" exceeds the limit "5". '),
        (FILL, {}, {"resources": LIMIT}, TOTAL),
        ("fallocate -l 11M /tmp/x", {}, {"resources": LIMIT}, TOTAL),
    ],
)
def test_a_pod_that_writes_too_much_is_evicted(
    command: str, volume: dict[str, Any], fields: dict[str, Any], message: str
) -> None:
    """At the next check: Failed, with upstream's message, an Event, and no DisruptionTarget."""
    cluster = ran(command, volume, **fields)
    status = status_of(cluster)
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["message"].endswith(message)
    assert all(c["type"] != "DisruptionTarget" for c in status["conditions"])
    events = cluster.api.list("Event")["items"]
    assert [e["message"] for e in events if e["reason"] == "Evicted"] == [status["message"]]
    assert "evicted: it wrote more than its limit allows" in str(cluster.explain("pod/web"))


@pytest.mark.parametrize(
    ("command", "volume", "fields"),
    [
        ("dd if=/dev/zero of=/cache/big bs=1M count=10", {"sizeLimit": "10Mi"}, {}),
        (FILL + "; rm /cache/big", {"sizeLimit": "10Mi"}, {}),
        (FILL, {}, {}),
        ("echo 12345 > /cache/x", {"sizeLimit": "0"}, {}),
        (FILL, {"medium": "Memory"}, {"resources": LIMIT}),
    ],
)
def test_a_pod_within_its_limits_goes_on(
    command: str, volume: dict[str, Any], fields: dict[str, Any]
) -> None:
    """As much as the limit is allowed; a limit of 0 is none; memory is not the disk."""
    assert status_of(ran(command, volume, **fields))["phase"] == "Running"


def test_one_container_of_several() -> None:
    """The pod's total is within its limits, but one container's part is not."""
    cluster = Cluster(nodes=1, hpa=False)
    containers = [
        {
            "name": name,
            "image": "busybox",
            "command": ["sh", "-c", f"truncate -s {size} /tmp/x; sleep 600"],
            "resources": {"limits": {"ephemeral-storage": "10Mi"}},
        }
        for name, size in (("a", "1M"), ("b", "12M"))
    ]
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web"},
            "spec": {"containers": containers},
        }
    )
    cluster.sleep(30)
    message = status_of(cluster)["message"]
    assert message == 'Container b exceeded its local ephemeral storage limit "10Mi". '


def test_a_volume_in_memory_is_full_at_its_limit() -> None:
    """A tmpfs of that size; the pod is not evicted."""
    cluster = ran(FILL, {"medium": "Memory", "sizeLimit": "10Mi"})
    assert status_of(cluster)["phase"] == "Running"
    assert cluster.api.pod_logs("web") == ["dd: /cache/big: No space left on device"]
    listing = cluster.api.exec("web", ["ls", "-l", "/cache"]).stdout
    assert "10485760" in listing
    large = cluster.api.exec("web", ["wc", "-c", "/cache/big"])
    assert "File too large" in large.stderr
