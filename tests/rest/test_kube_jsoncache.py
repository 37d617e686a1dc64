"""Lists of the Kubernetes API whose JSON is kept: always the same as if it were made anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kube_http import MAPS, PODS, TABLE, Kube, config_map, deployment, kube

from kubesim import Cluster
from kubesim.apiserver.printers import table as printing
from kubesim.apiserver.printers.ages import human_duration, seconds_until_change
from kubesim.rest import RestServer
from kubesim.rest.kube import jsoncache
from kubesim.rest.kube.requestinfo import RequestInfo, resolve
from kubesim.rest.kube.response import Transformer
from kubesim.rest.serializer.negotiation import Form

pytestmark = pytest.mark.live
OBJECTS, ROWS = Form(), Form("Table", "v1")
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
def served() -> Iterator[tuple[Cluster, Kube]]:
    """A cluster and a client."""
    with kube() as made:
        yield made


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What lists had to encode, in order."""
    found: list[Any] = []
    real = jsoncache.encode

    def encode(value: Any) -> str:
        found.append(value)
        return real(value)

    monkeypatch.setattr(jsoncache, "encode", encode)
    return found


def test_a_list_encodes_only_what_changed(served: tuple[Cluster, Kube], encoded: list[Any]) -> None:
    """The second list encodes its frame alone; after a change also the one object."""
    _, ask = served
    for name in ("a", "b", "c"):
        ask("POST", MAPS, config_map(name))
    first = ask("GET", MAPS).body
    encoded.clear()
    assert ask("GET", MAPS).body == first
    assert [value["kind"] for value in encoded] == ["ConfigMapList"]
    encoded.clear()
    ask("PUT", f"{MAPS}/b", config_map("b", k="v"))
    items = ask("GET", MAPS).body["items"]
    assert [value["kind"] for value in encoded] == ["ConfigMapList", "ConfigMap"]
    assert {item["metadata"]["name"]: item.get("data") for item in items}["b"] == {"k": "v"}


@pytest.mark.parametrize("accept", ["application/json", TABLE, PARTIAL])
@pytest.mark.parametrize("path", [MAPS, PODS, DEPLOYMENTS, "/api/v1/nodes"])
def test_a_kept_list_is_the_list_that_another_server_makes_anew(
    path: str, accept: str, served: tuple[Cluster, Kube]
) -> None:
    """After objects were changed, deleted and made again, and time has passed."""
    cluster, ask = served
    ask("POST", MAPS, config_map("a"))
    ask("POST", DEPLOYMENTS, deployment("web"))
    for seconds in (0, 3, 0, 700):
        cluster.sleep(seconds)
        ask("DELETE", f"{MAPS}/a")
        ask("POST", MAPS, config_map("a", slept=str(seconds)))
        ask("GET", path, Accept=accept)
        cluster.sleep(1)
        kept = ask("GET", path, Accept=accept).body
        other = RestServer(cluster.api).start()
        anew = Kube(other)("GET", path, Accept=accept).body
        other.close()
        assert kept == anew


def test_forms_versions_and_what_rows_carry_do_not_mix(served: tuple[Cluster, Kube]) -> None:
    """One object, listed in turn as itself, its metadata, and three kinds of table."""
    _, ask = served
    ask("POST", MAPS, config_map("last", k="v"))
    for _ in range(2):
        assert ask("GET", MAPS).body["items"][-1]["data"] == {"k": "v"}
        slim = ask("GET", MAPS, Accept=PARTIAL).body["items"][-1]
        assert (slim["kind"], "data" in slim) == ("PartialObjectMetadata", False)
        objects = [
            ask("GET", f"{MAPS}?includeObject={word}", Accept=TABLE).body["rows"][-1]["object"]
            for word in ("None", "Metadata", "Object")
        ]
        assert objects[0] is None
        assert "data" not in objects[1]
        assert objects[2]["data"] == {"k": "v"}


def test_hpas_of_both_versions_do_not_mix(served: tuple[Cluster, Kube]) -> None:
    """autoscaling/v1 and v2 are two forms of one object."""
    _, ask = served
    ask("POST", DEPLOYMENTS, deployment("web"))
    path = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"
    hpa = {
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 3,
            "targetCPUUtilizationPercentage": 60,
        },
    }
    assert ask("POST", path.format("v1"), hpa).status == 201
    for _ in range(2):
        for version, word in (("v1", "targetCPUUtilizationPercentage"), ("v2", "metrics")):
            item = ask("GET", path.format(version)).body["items"][0]
            assert item["apiVersion"] == f"autoscaling/{version}"
            assert word in item["spec"]


def test_cells_are_kept_until_their_ages_read_otherwise(
    served: tuple[Cluster, Kube], encoded: list[Any]
) -> None:
    """An age of 12 minutes stands for a minute; then it is made anew, and its object is not."""
    cluster, ask = served
    ask("POST", MAPS, config_map("a"))
    cluster.sleep(725)
    before = ask("GET", MAPS, Accept=TABLE).body["rows"]
    assert before[-1]["cells"][-1] == "12m"
    encoded.clear()
    cluster.sleep(20)
    assert ask("GET", MAPS, Accept=TABLE).body["rows"] == before
    assert [type(value) for value in encoded] == [dict]
    cluster.sleep(40)
    encoded.clear()
    assert ask("GET", MAPS, Accept=TABLE).body["rows"][-1]["cells"][-1] == "13m"
    assert {type(value) for value in encoded} == {dict, list}


@pytest.mark.parametrize(
    "seconds",
    [-5.0, -0.5, 0.0, 0.4, 119.9, 120.0, 599.5, 600.0, 10_799.0, 28_799.5, 172_799.0, 691_000.25],
)
def test_an_age_reads_the_same_for_as_long_as_is_said(seconds: float) -> None:
    """Up to the last thousandth of a second before."""
    lasts = seconds_until_change(seconds)
    for part in (0.25, 0.5, 0.75):
        assert human_duration(seconds + lasts * part) == human_duration(seconds)
    assert human_duration(seconds + max(0.0, lasts - 0.001)) == human_duration(seconds)


def as_json(cluster: Cluster, cache: jsoncache.JSONCache, form: Form = OBJECTS) -> list[str]:
    """The names in the default namespace's list of ConfigMaps, serialized by a cache."""
    listed = cluster.api.list_shared("ConfigMap", "default")
    target = resolve(cluster.api.registry, RequestInfo("", "v1", "configmaps", "default"))
    body = json.loads(cache.many(Transformer(form, target, cluster.clock), listed))
    items = body["items"] if not form.kind else [row["object"] for row in body["rows"]]
    return [item["metadata"]["name"] for item in items]


def test_a_list_that_is_larger_than_the_cache_is_partly_cached(encoded: list[Any]) -> None:
    """It is complete each time, and what found room is not encoded again."""
    with kube() as (cluster, ask):
        names = [f"m{number}" for number in range(40)]
        for name in names:
            ask("POST", MAPS, config_map(name, data="x" * 400))
        cache = jsoncache.JSONCache(cluster.clock, size=16_000)
        for _ in range(3):
            encoded.clear()
            assert set(names) <= set(as_json(cluster, cache))
            assert 0 < cache.size <= 16_000
        assert 10 < len(encoded) < 35


def test_two_lists_in_turn_do_not_displace_each_other(encoded: list[Any]) -> None:
    """Objects and tables of them, in a cache that has room for one and a half."""
    with kube() as (cluster, ask):
        for number in range(40):
            ask("POST", MAPS, config_map(f"m{number}", data="x" * 400))
        cache = jsoncache.JSONCache(cluster.clock, size=50_000)
        counts = []
        for form in (OBJECTS, ROWS) * 3:
            encoded.clear()
            assert len(as_json(cluster, cache, form)) == 41
            counts.append(len(encoded))
        assert counts[0] > 40
        assert counts[-2] == 1  # the head
        assert counts[-1] < counts[1]


def test_what_was_not_requested_lately_makes_room(encoded: list[Any]) -> None:
    """A table that nobody asks for again, and objects that are deleted."""
    with kube() as (cluster, ask):
        for number in range(40):
            ask("POST", MAPS, config_map(f"m{number}", data="x" * 400))
        cache = jsoncache.JSONCache(cluster.clock, size=60_000)
        as_json(cluster, cache, ROWS)
        for _ in range(3):
            for number in range(40):
                ask("PUT", f"{MAPS}/m{number}", config_map(f"m{number}", data="y" * 600))
            as_json(cluster, cache)
        for _ in range(6):  # room is made once for many objects that found none
            as_json(cluster, cache)
        encoded.clear()
        assert len(as_json(cluster, cache)) == 41
        assert len(encoded) == 1
        assert cache.size <= 60_000


def test_lasting_cells_are_the_cells(served: tuple[Cluster, Kube]) -> None:
    """Of every kind that this cluster holds."""
    cluster, _ = served
    now = cluster.clock.now()
    for kind in cluster.api.registry.kinds():
        for document in cluster.api.snapshot(kind.kind)[0]:
            cells, until = printing.lasting_cells(kind, document, cluster.clock, now)
            assert cells == printing.cells(kind, document, cluster.clock, now)
            assert until >= now
