"""Requests, scoring requests, and what a node offers."""

from __future__ import annotations

from typing import Any

import pytest
from sched_builders import GI, MI, node, pod

from kubesim.scheduler import NodeInfo
from kubesim.scheduler.framework.resources import (
    is_counted,
    is_extended,
    offered_by,
    request_of,
    scoring_of,
)

DEFAULT = 209_715_200


def container(restart: str = "", **requests: str) -> dict[str, Any]:
    """Return a container with these requests."""
    result: dict[str, Any] = {"name": "c", "resources": {"requests": requests}}
    return {**result, "restartPolicy": restart} if restart else result


def spec(*containers: Any, init: Any = (), **more: Any) -> dict[str, Any]:
    """Return a pod with these containers."""
    return {"spec": {"containers": list(containers), "initContainers": list(init), **more}}


def level(**requests: str) -> dict[str, Any]:
    """Return pod-level requests."""
    return {"requests": requests}


ROWS: list[tuple[str, Any, dict[str, int]]] = [
    ("sum", spec(container(cpu="1"), container(memory="1Gi")), {"cpu": 1000, "memory": GI}),
    (
        "init peaks",
        spec(
            container(cpu="300m"),
            init=(container(cpu="1500m"), container("Always", cpu="500m"), container(cpu="1")),
        ),
        {"cpu": 1500},
    ),
    (
        "sidecars run on",
        spec(container(cpu="800m"), init=(container("Always", cpu="500m"), container(cpu="100m"))),
        {"cpu": 1300},
    ),
    (
        "a sidecar before an init container counts beside it",
        spec(container(cpu="1m"), init=(container("Always", cpu="500m"), container(cpu="1"))),
        {"cpu": 1500},
    ),
    (
        "a sidecar after it does not",
        spec(container(cpu="1m"), init=(container(cpu="1"), container("Always", cpu="500m"))),
        {"cpu": 1000},
    ),
    ("overhead", spec(container(cpu="1"), overhead={"cpu": "250m"}), {"cpu": 1250}),
    ("pod level", spec(container(cpu="1"), resources=level(cpu="3")), {"cpu": 3000}),
    (
        "pod level with overhead",
        spec(container(cpu="1"), resources=level(cpu="3"), overhead={"cpu": "1"}),
        {"cpu": 4000},
    ),
    (
        "pod level of another resource is not looked at",
        spec(container(**{"example.com/gpu": "1"}), resources=level(**{"example.com/gpu": "4"})),
        {"example.com/gpu": 1},
    ),
    (
        "pod level hugepages",
        spec(container(), resources=level(**{"hugepages-2Mi": "4Mi"})),
        {"hugepages-2Mi": 4 * MI},
    ),
    (
        "rounded up once",
        spec(container(cpu="0.1m"), container(cpu="0.1m"), container(memory="0.5")),
        {"cpu": 1, "memory": 1},
    ),
    ("limits play no part", spec({"resources": {"limits": {"cpu": "2"}}}), {}),
    ("a name that nobody counts", spec(container(apples="2")), {}),
]


@pytest.mark.parametrize(("_name", "incoming", "wanted"), ROWS, ids=[row[0] for row in ROWS])
def test_requests(_name: str, incoming: Any, wanted: dict[str, int]) -> None:
    """The larger of running sum and init peak, plus overhead."""
    assert request_of(incoming) == wanted


SCORING: list[tuple[str, Any, bool, int, int]] = [
    (
        "each by itself",
        spec(container(cpu="1"), container(memory="1Gi")),
        False,
        1100,
        GI + DEFAULT,
    ),
    ("nothing named", spec(container(), container()), False, 200, 2 * DEFAULT),
    ("a named zero stays", spec(container(cpu="0", memory="0")), False, 0, 0),
    ("init ones too", spec(container(cpu="10m"), init=(container(),)), False, 100, DEFAULT),
    ("sidecars", spec(container(), init=(container("Always"),)), False, 200, 2 * DEFAULT),
    ("pod level of the incoming", spec(container(), resources=level(cpu="2")), False, 100, DEFAULT),
    ("pod level of a placed", spec(container(), resources=level(cpu="2")), True, 2000, DEFAULT),
    (
        "placed: named anywhere is not filled in",
        spec(container(), container(memory="1Mi"), resources=level(cpu="2")),
        True,
        2000,
        MI,
    ),
    ("placed without pod level", spec(container(), container(cpu="1")), True, 1100, 2 * DEFAULT),
]


@pytest.mark.parametrize(
    ("_name", "incoming", "placed", "cpu", "memory"), SCORING, ids=[row[0] for row in SCORING]
)
def test_scoring_requests(_name: str, incoming: Any, placed: bool, cpu: int, memory: int) -> None:
    """Every container that does not name cpu or memory gets the default first."""
    assert scoring_of(incoming, placed=placed) == {"cpu": cpu, "memory": memory}


def test_a_resize_counts_the_largest() -> None:
    """The largest of spec, allocated and actual counts for assigned pods."""
    incoming = pod("p", "200m", "1Gi")
    incoming["status"] = {
        "containerStatuses": [
            {
                "name": "main",
                "allocatedResources": {"cpu": "500m"},
                "resources": {"requests": {"cpu": "300m", "memory": "2Gi"}},
            }
        ]
    }
    assert request_of(incoming, placed=True) == {"cpu": 500, "memory": 2 * GI}
    assert request_of(incoming) == {"cpu": 200, "memory": GI}


@pytest.mark.parametrize(
    ("name", "extended", "counted"),
    [
        ("cpu", False, False),
        ("ephemeral-storage", False, False),
        ("example.com/gpu", True, True),
        ("hugepages-2Mi", False, True),
        ("attachable-volumes-x", False, True),
        ("kubernetes.io/batch", False, True),
    ],
)
def test_kinds_of_resources(name: str, extended: bool, counted: bool) -> None:
    """A resource with a slash and without kubernetes.io/ is extended."""
    assert (is_extended(name), is_counted(name)) == (extended, counted)


def test_a_node_offers_its_allocatable() -> None:
    """Capacity is never read; without `pods` the node takes no pod."""
    document = node(cpu="1500m", more={"example.com/gpu": "2"})
    document["status"]["capacity"] = {"cpu": "99", "pods": "99"}
    del document["status"]["allocatable"]["pods"]
    assert offered_by(document)["cpu"] == 1500
    assert offered_by(document)["example.com/gpu"] == 2
    assert NodeInfo(document).max_pods == 0


def test_a_node_counts_and_forgets_pods() -> None:
    """Adding twice counts once; finished pods never count; a clone is independent."""
    info = NodeInfo(node())
    info.add(pod("a", "1", "1Gi"))
    info.add(pod("a", "2"))
    finished = {**pod("b", "1"), "status": {"phase": "Succeeded"}}
    info.add(finished)
    assert info.requested == {"cpu": 2000, "memory": 0}
    assert info.scoring == {"cpu": 2000, "memory": DEFAULT}
    twin = info.clone()
    twin.remove("default/a")
    assert (twin.requested.cpu_milli, info.requested.cpu_milli) == (0, 2000)
    assert list(info.pods) == ["default/a"]
