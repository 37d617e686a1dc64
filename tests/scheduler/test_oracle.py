"""Compare spread, affinity and fit with slow reference implementations."""

from __future__ import annotations

from math import floor, log
from random import Random
from typing import Any

import pytest
from sched_builders import ZONE, filtered, node, pod, scored

from kubesim.scheduler import Snapshot
from kubesim.scheduler.plugins.interpodaffinity import InterPodAffinity
from kubesim.scheduler.plugins.noderesources import NodeResourcesFit
from kubesim.scheduler.plugins.podtopologyspread import PodTopologySpread

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
KEYS = (ZONE, "rack")
SKEW = "node(s) didn't match pod topology spread constraints"


def labels(rng: Random) -> dict[str, str]:
    """Labels of a pod."""
    return {k: rng.choice("xy") for k in ("app", "tier") if rng.random() < 0.8}


def selector(rng: Random) -> dict[str, Any]:
    """A label selector."""
    return {"matchLabels": {k: rng.choice("xy") for k in ("app", "tier") if rng.random() < 0.5}}


def picks(chosen: Any, incoming: Any) -> bool:
    """Return whether the selector matches the pod."""
    own = incoming["metadata"]["labels"]
    return all(own.get(k) == v for k, v in chosen["matchLabels"].items())


def nodes_of(rng: Random) -> list[Any]:
    """Three to seven nodes, some without a key."""
    return [
        node(
            f"n{n}",
            cpu=str(rng.randint(1, 4)),
            pods=str(rng.randint(1, 6)),
            labels={k: rng.choice("abc") for k in KEYS if rng.random() < 0.85},
        )
        for n in range(rng.randint(3, 7))
    ]


def terms(rng: Random) -> list[Any]:
    """Up to two affinity terms."""
    return [
        {"topologyKey": rng.choice(KEYS), "labelSelector": selector(rng)}
        for _ in range(rng.randint(0, 2))
    ]


def affine(rng: Random) -> dict[str, Any]:
    """A spec with required terms."""
    result: dict[str, Any] = {}
    for kind in ("podAffinity", "podAntiAffinity"):
        if rng.random() < 0.5:
            result[kind] = {REQUIRED: terms(rng)}
    return {"affinity": result} if result else {}


def of(incoming: Any, kind: str) -> list[Any]:
    """Its required terms."""
    return list(((incoming["spec"].get("affinity") or {}).get(kind) or {}).get(REQUIRED) or ())


def world(rng: Random) -> tuple[list[Any], list[Any]]:
    """Return nodes and assigned pods, some of them terminating."""
    nodes = nodes_of(rng)
    pods = []
    for n in range(rng.randint(0, 8)):
        on = rng.choice(nodes)["metadata"]["name"]
        cpu = f"{rng.randint(1, 9) * 100}m"
        new = pod(f"p{n}", cpu, labels=labels(rng), on=on, **(affine(rng) if n % 3 == 0 else {}))
        if rng.random() < 0.2:
            new["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z"
        pods.append(new)
    return nodes, pods


def value(where: Any, key: str) -> Any:
    """A label of a node."""
    return where["metadata"]["labels"].get(key)


def same_place(nodes: list[Any], other: Any, where: Any, key: str) -> bool:
    """Return whether both nodes are in the same topology domain."""
    theirs = next(n for n in nodes if n["metadata"]["name"] == other["spec"]["nodeName"])
    return value(where, key) is not None and value(where, key) == value(theirs, key)


def affinity_oracle(incoming: Any, where: Any, nodes: list[Any], pods: list[Any]) -> str:
    """The reason of the first check that fails; "" if none does."""
    near = of(incoming, "podAffinity")
    fits_all = [p for p in pods if all(picks(t["labelSelector"], p) for t in near)]
    if near:
        if any(value(where, t["topologyKey"]) is None for t in near):
            return "node(s) didn't match pod affinity rules"
        met = all(
            any(same_place(nodes, p, where, t["topologyKey"]) for p in fits_all) for t in near
        )
        counted = any(
            value(n, t["topologyKey"]) is not None
            for p in fits_all
            for n in nodes
            if n["metadata"]["name"] == p["spec"]["nodeName"]
            for t in near
        )
        itself = all(picks(t["labelSelector"], incoming) for t in near)
        if not met and not (not counted and itself):
            return "node(s) didn't match pod affinity rules"
    for term in of(incoming, "podAntiAffinity"):
        for other in pods:
            if picks(term["labelSelector"], other) and same_place(
                nodes, other, where, term["topologyKey"]
            ):
                return "node(s) didn't match pod anti-affinity rules"
    for other in pods:
        for term in of(other, "podAntiAffinity"):
            if picks(term["labelSelector"], incoming) and same_place(
                nodes, other, where, term["topologyKey"]
            ):
                return "node(s) didn't satisfy existing pods anti-affinity rules"
    return ""


@pytest.mark.parametrize("seed", range(150))
def test_affinity(seed: int) -> None:
    """The first reason of each node."""
    rng = Random(seed)
    nodes, pods = world(rng)
    incoming = pod("new", labels=labels(rng), **affine(rng))
    result = filtered([InterPodAffinity()], incoming, Snapshot.of(nodes, pods))
    for where in nodes:
        expected = affinity_oracle(incoming, where, nodes, pods)
        assert result[where["metadata"]["name"]].message == expected


def spread_oracle(incoming: Any, where: Any, nodes: list[Any], pods: list[Any]) -> str:
    """The reason of the first constraint that fails."""
    constraints = incoming["spec"]["topologySpreadConstraints"]
    keyed = [n for n in nodes if all(value(n, c["topologyKey"]) is not None for c in constraints)]
    for constraint in constraints:
        key, chosen = constraint["topologyKey"], constraint["labelSelector"]
        if value(where, key) is None:
            return f"{SKEW} (missing required label)"
        counts = {
            place: sum(
                bool(chosen["matchLabels"])
                and picks(chosen, p)
                and "deletionTimestamp" not in p["metadata"]
                and value(n, key) == place
                and p["spec"]["nodeName"] == n["metadata"]["name"]
                for n in keyed
                for p in pods
            )
            for place in {value(n, key) for n in keyed}
        }
        least = min(counts.values(), default=2**31 - 1)
        if len(counts) < constraint.get("minDomains", 1):
            least = 0
        here = counts.get(value(where, key), 0)
        if here + int(picks(chosen, incoming)) - least > constraint["maxSkew"]:
            return SKEW
    return ""


@pytest.mark.parametrize("seed", range(150))
def test_spread(seed: int) -> None:
    """The first reason of each node."""
    rng = Random(seed)
    nodes, pods = world(rng)
    constraints = [
        {
            "topologyKey": key,
            "maxSkew": rng.randint(1, 2),
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": selector(rng),
            **({"minDomains": rng.randint(1, 4)} if rng.random() < 0.3 else {}),
        }
        for key in KEYS[: rng.randint(1, 2)]
    ]
    incoming = pod("new", labels=labels(rng), topologySpreadConstraints=constraints)
    result = filtered([PodTopologySpread()], incoming, Snapshot.of(nodes, pods))
    for where in nodes:
        assert result[where["metadata"]["name"]].message == spread_oracle(
            incoming, where, nodes, pods
        )


@pytest.mark.parametrize("seed", range(50))
def test_fit(seed: int) -> None:
    """All reasons of each node, by adding up millicores."""
    rng = Random(seed)
    nodes, pods = world(rng)
    requested = rng.randint(0, 45) * 100
    result = filtered([NodeResourcesFit()], pod("new", f"{requested}m"), Snapshot.of(nodes, pods))
    for where in nodes:
        name, offered = where["metadata"]["name"], where["status"]["allocatable"]
        here = [p for p in pods if p["spec"]["nodeName"] == name]
        used = sum(
            int(p["spec"]["containers"][0]["resources"]["requests"]["cpu"][:-1]) for p in here
        )
        reasons = ["Too many pods"] if len(here) + 1 > int(offered["pods"]) else []
        if requested and used + requested > int(offered["cpu"]) * 1000:
            reasons.append("Insufficient cpu")
        assert list(result[name].reasons) == reasons


# -- scores ---------------------------------------------------------------------------------------


def soft_oracle(incoming: Any, nodes: list[Any], pods: list[Any]) -> dict[str, int]:
    """The soft spread scores of all nodes, all of them candidates."""
    constraints = incoming["spec"]["topologySpreadConstraints"]
    counted = [n for n in nodes if all(value(n, c["topologyKey"]) is not None for c in constraints)]
    raw: dict[str, int] = {}
    for where in counted:
        total = 0.0
        for constraint in constraints:
            key, chosen = constraint["topologyKey"], constraint["labelSelector"]
            places = len({value(n, key) for n in counted})
            here = {n["metadata"]["name"] for n in counted if value(n, key) == value(where, key)}
            count = sum(
                bool(chosen["matchLabels"])
                and picks(chosen, p)
                and "deletionTimestamp" not in p["metadata"]
                and p["spec"]["nodeName"] in here
                for p in pods
            )
            total += count * log(places + 2) + constraint["maxSkew"] - 1
        raw[where["metadata"]["name"]] = floor(total + 0.5)
    most, least = max(raw.values(), default=0), min(raw.values(), default=0)
    scores = {n["metadata"]["name"]: 0 for n in nodes}
    for name, crowd in raw.items():
        scores[name] = 100 * (most + least - crowd) // most if most else 100
    return scores


@pytest.mark.parametrize("seed", range(100))
def test_soft_spread(seed: int) -> None:
    """The soft score is the weighted count, rounded and reversed."""
    rng = Random(seed)
    nodes, pods = world(rng)
    constraints = [
        {
            "topologyKey": key,
            "maxSkew": rng.randint(1, 3),
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": selector(rng),
        }
        for key in KEYS[: rng.randint(1, 2)]
    ]
    incoming = pod("new", labels=labels(rng), topologySpreadConstraints=constraints)
    cycle = scored([PodTopologySpread()], incoming, Snapshot.of(nodes, pods))
    assert cycle.scores["PodTopologySpread"] == soft_oracle(incoming, nodes, pods)


def wishes(rng: Random) -> dict[str, Any]:
    """A spec with preferred terms."""
    result: dict[str, Any] = {}
    for kind in ("podAffinity", "podAntiAffinity"):
        result[kind] = {
            PREFERRED: [
                {"weight": rng.randint(1, 100), "podAffinityTerm": term} for term in terms(rng)
            ]
        }
    return {"affinity": result}


def wish_oracle(incoming: Any, nodes: list[Any], pods: list[Any]) -> dict[str, int]:
    """The raw sum of each node."""
    sums = {}
    for where in nodes:
        total = 0
        for other in pods:
            for owner, target in ((incoming, other), (other, incoming)):
                for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
                    rule = (owner["spec"].get("affinity") or {}).get(kind) or {}
                    for wish in rule.get(PREFERRED) or ():
                        term = wish["podAffinityTerm"]
                        if picks(term["labelSelector"], target) and same_place(
                            nodes, other, where, term["topologyKey"]
                        ):
                            total += sign * wish["weight"]
            for term in of(other, "podAffinity"):
                if picks(term["labelSelector"], incoming) and same_place(
                    nodes, other, where, term["topologyKey"]
                ):
                    total += 1
        sums[where["metadata"]["name"]] = total
    return sums


@pytest.mark.parametrize("seed", range(100))
def test_wishes(seed: int) -> None:
    """Preferred terms of the pod and of existing pods, normalized between least and most."""
    rng = Random(seed)
    nodes, pods = world(rng)
    for other in pods[::2]:
        other["spec"] |= wishes(rng)
    incoming = pod("new", labels=labels(rng), **(wishes(rng) if rng.random() < 0.7 else {}))
    cycle = scored([InterPodAffinity()], incoming, Snapshot.of(nodes, pods))
    expected = wish_oracle(incoming, nodes, pods)
    if "InterPodAffinity" not in cycle.raw:
        assert set(expected.values()) == {0}
        return
    assert cycle.raw["InterPodAffinity"] == expected
    least, most = min(expected.values()), max(expected.values())
    assert cycle.scores["InterPodAffinity"] == {
        name: int(100.0 * ((total - least) / (most - least))) if most > least else 0
        for name, total in expected.items()
    }
