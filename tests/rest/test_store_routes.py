"""A full store over HTTP: the answer of a write, what /metrics and /api/etcd show, the way out."""

from __future__ import annotations

import pytest
from kube_http import MAPS, Kube, config_map

from kubesim import Cluster

pytestmark = pytest.mark.live
MESSAGE = "etcdserver: mvcc: database space exceeded"


def test_a_full_store_over_http_and_the_way_out() -> None:
    """500 with etcd's message; reads and deletions go on; compact, defrag and disarm end it."""
    with Cluster(nodes=1, seed=1, hpa=False, quota_backend_bytes=4 * 1024**2) as cluster:
        ask = Kube(cluster.serve())
        ask("POST", MAPS, config_map("seed"))
        big = config_map("a") | {"data": {"text": "x" * 900_000}}
        replies = []
        for number in range(9):
            big["metadata"]["name"] = f"big-{number}"
            replies.append(ask("POST", MAPS, big))
        assert {reply.status for reply in replies} == {201, 500}
        assert 3 <= sum(reply.status == 201 for reply in replies) <= 4
        refused = replies[-1].body
        assert (refused["kind"], refused["message"], refused["code"]) == ("Status", MESSAGE, 500)
        assert "reason" not in refused
        assert ask("GET", f"{MAPS}/big-0").status == 200
        metrics = ask("GET", "/metrics").body.splitlines()
        assert f"etcd_server_quota_backend_bytes {4 * 1024**2}" in metrics
        assert 'kubesim_store_alarms{type="NOSPACE"} 1' in metrics
        assert any(line.startswith("etcd_mvcc_db_total_size_in_use_in_bytes ") for line in metrics)
        for number in range(4):
            assert ask("DELETE", f"{MAPS}/big-{number}").status in (200, 404)
        status = ask("GET", "/api/etcd").body
        assert status["alarms"] == ["NOSPACE"]
        assert status["dbSize"] > status["dbSizeQuota"] * 0.7
        for action in ("compact", "compact", "defrag", "disarm"):
            after = ask("POST", f"/api/etcd/{action}")
            assert after.status == 200
        assert after.body["alarms"] == []
        assert after.body["dbSizeInUse"] <= after.body["dbSize"] < status["dbSize"]
        assert ask("POST", "/api/etcd/explode").status == 404
        assert ask("POST", MAPS, config_map("later")).status == 201
        assert cluster.store.maintenance.status().alarms == ()
