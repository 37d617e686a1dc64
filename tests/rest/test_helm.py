"""Helm against the served API: a chart with what charts usually contain, through its whole life."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from helm_tool import Helm, helms

from kubesim import Cluster
from kubesim.objects.meta import key_of

pytestmark = pytest.mark.live

CHART = Path(__file__).parent / "charts" / "shop"
HISTORY = 3
PARTS = ("claim", "rbac", "ingress", "networkPolicy")  # of the chart, which are off by default
PASSING = ("Event", "Lease", "Node", "PodMetrics", "NodeMetrics")  # kinds that come and go anyway


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes, twenty times as fast as real ones."""
    with Cluster(nodes=2, hpa=False, clock="live", speed=20) as cluster:
        yield cluster


def objects(cluster: Cluster) -> set[tuple[str, str]]:
    """Kind and key of all objects that stay."""
    kinds = [kind.kind for kind in cluster.api.registry.kinds() if kind.kind not in PASSING]
    return {(kind, key_of(obj)) for kind in kinds for obj in cluster.api.snapshot(kind)[0]}


@pytest.mark.parametrize(
    "program",
    [pytest.param(path, id=name) for name, path in helms().items()]
    or [
        pytest.param(
            "", marks=pytest.mark.skip(reason="no helm: see `tests/rest/helm_tool.py`"), id="none"
        )
    ],
)
def test_the_whole_life_of_a_chart(cluster: Cluster, program: str, tmp_path: Path) -> None:
    """Install, upgrade past the history limit, roll back, test, uninstall, install again."""
    kubeconfig = tmp_path / "kubeconfig"
    cluster.serve(kubeconfig=kubeconfig)
    assert cluster.wait_until(lambda: all(cluster.node(f"node-{n}").ready for n in (1, 2)), 30)
    cluster.sleep(5)
    before = objects(cluster)
    helm = Helm(program, kubeconfig, tmp_path)
    flags = [f"--set={part}=true" for part in PARTS]
    waiting = ["--wait", "--timeout=60s"]

    helm("install", "shop", str(CHART), *flags, *waiting)
    assert cluster.api.get("Deployment", "shop-web")["status"]["readyReplicas"] >= 1
    assert cluster.api.get("StatefulSet", "shop-database")["status"]["readyReplicas"] == 2
    for count in range(HISTORY + 1):
        changed = [f"--set=greeting=hello{count}", f"--history-max={HISTORY}"]
        helm("upgrade", "shop", str(CHART), *flags, *changed, *waiting)
    history = json.loads(helm("history", "shop", "-o", "json"))
    assert [release["revision"] for release in history] == [3, 4, 5]
    assert cluster.api.get("ConfigMap", "shop-web")["data"] == {"greeting": "hello3"}

    helm("rollback", "shop", "3", *waiting)
    assert cluster.api.get("ConfigMap", "shop-web")["data"] == {"greeting": "hello1"}
    assert "the greeting is hello1" in helm("test", "shop", "--logs")

    for again in range(2):
        helm("uninstall", "shop", "--wait")
        if not again:  # helm leaves the pods of its tests
            cluster.api.delete("Pod", "shop-test", "default")
        assert cluster.wait_until(lambda: objects(cluster) == before, 120), (
            objects(cluster) ^ before
        )
        if not again:
            helm("install", "shop", str(CHART), *flags, *waiting)
