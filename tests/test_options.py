"""Bad arguments: BadRequest says what was expected, what was given, and how to correct it."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.arguments import (
    Check,
    check_arguments,
    cpu_quantity,
    flag,
    function,
    having,
    mapping_of,
    memory_quantity,
    number,
    optional,
    whole_number,
)
from kubesim.autoscaler import HorizontalPolicy
from kubesim.clock import VirtualClock
from kubesim.errors import BadRequest
from kubesim.kubelet import KubeletConfig
from kubesim.options import CLUSTER, NODE

NAN, INFINITY = float("nan"), float("inf")


class Policy:
    """An autoscaling policy."""

    def recommend(self, observation: Any) -> int:
        """Keep the size."""
        return int(observation.current)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("nodes", "3", "nodes must be a whole number, not '3' \\(write nodes=3\\)"),
        ("nodes", 2.5, "nodes must be a whole number, not 2.5"),
        ("nodes", True, "nodes must be a whole number, not True"),
        ("nodes", None, "nodes must be a whole number, not None"),
        ("nodes", -1, "nodes must be 0 or more, not -1"),
        ("nodes", 5_001, "nodes must be 0 to 5000, not 5001"),
        ("nodes", 10**30, "nodes must be 0 to 5000, not 10000"),
        ("seed", "x", "seed must be a whole number, not 'x'"),
        ("seed", 1.0, "seed must be a whole number, not 1.0"),
        ("clock", "virtuel", "there is no clock 'virtuel'"),
        ("clock", 3, 'clock must be "virtual", "live" or a clock, not 3'),
        ("speed", "fast", "speed must be a number, not 'fast'"),
        ("speed", "20", "speed must be a number, not '20' \\(write speed=20\\)"),
        ("speed", 0, "speed must be above 0, not 0"),
        ("speed", NAN, "speed must be above 0, not nan"),
        ("speed", INFINITY, "speed must be above 0, not inf"),
        ("hpa", "no", "hpa must be True or False, not 'no'"),
        ("digest", 1, "digest must be True or False, not 1"),
        ("node_cpu", "four", 'node_cpu must be an amount of CPU such as "4" or "500m"'),
        ("node_cpu", -1, "node_cpu must be an amount of CPU"),
        ("node_cpu", True, "node_cpu must be an amount of CPU"),
        ("node_memory", "8 Gi", 'node_memory must be an amount of memory such as "8Gi"'),
        ("node_memory", None, "node_memory must be an amount of memory"),
        ("max_pods", "110", "max_pods must be a whole number, not '110' \\(write max_pods=110\\)"),
        ("max_pods", -1, "max_pods must be 0 or more, not -1"),
        ("sink", "print", "sink must be a function, or None, not 'print'"),
        ("policy", object(), "policy must be an object with a method recommend\\(observation\\)"),
        ("policy", Policy, r"not <class.*write policy=Policy\(\), with parentheses"),
        (
            "shadow_policies",
            [Policy()],
            "shadow_policies must be a mapping from names to objects with a method recommend",
        ),
        (
            "shadow_policies",
            {"x": 3},
            "shadow_policies must be a mapping from names to objects with a method recommend",
        ),
        ("metrics_resolution", 9.9, "metrics_resolution must be at least 10 seconds"),
        ("metrics_resolution", "15", "metrics_resolution must be a number, or None, not '15'"),
        ("custom_metrics_resolution", -1, "custom_metrics_resolution must be at least 0, not -1"),
        ("custom_metrics_resolution", NAN, "custom_metrics_resolution must be at least 0"),
        ("profile", 3, "3 is not a scheduler plug-in"),
        ("profile", "NodeName", "a profile is a list of plug-ins, not the string 'NodeName'"),
        ("schedulers", ["mine"], "schedulers must be a mapping from names to profiles"),
        ("schedulers", {"mine": 3}, "3 is not a scheduler plug-in"),
        ("workloads", ["leak"], "workloads must be a mapping from names to functions"),
        ("workloads", {"leak": 3}, "workloads must be a mapping from names to functions"),
        ("workloads", {3: print}, "workloads must be a mapping from names to functions"),
        ("history_limit", 0, "history_limit must be 1 or more, not 0"),
        ("max_threads", 0, "max_threads must be 1 or more, not 0"),
        ("kubelet", {"evict": 1}, "kubelet must be a KubeletConfig, or None"),
    ],
)
def test_an_option_of_another_kind_is_refused(option: str, value: Any, expected: str) -> None:
    """No cluster is made then."""
    with pytest.raises(BadRequest, match=expected):
        Cluster(**{"nodes": 1, "hpa": False, option: value})


def test_every_option_of_a_cluster_has_a_check_and_its_default_passes() -> None:
    """Also numbers and quantities of every type that makes sense."""
    import inspect

    signature = inspect.signature(Cluster.__init__).parameters
    defaults = {name: p.default for name, p in signature.items() if name != "self"}
    assert set(defaults) == {*CLUSTER, "profile"}
    for name in CLUSTER:
        assert CLUSTER[name](defaults[name]) is None, name
    fine: dict[str, Any] = {
        "nodes": 0,
        "seed": -5,
        "clock": VirtualClock(),
        "speed": 0.5,
        "node_cpu": 4,
        "node_memory": 8e9,
        "policy": HorizontalPolicy(),
        "shadow_policies": {"mine": Policy()},
        "metrics_resolution": 15,
        "kubelet": KubeletConfig(),
        "sink": print,
        "workloads": {},
    }
    with Cluster(**fine) as cluster:
        cluster.sleep(1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"cpu": "many"}, "cpu must be an amount of CPU"),
        ({"memory": -1}, "memory must be an amount of memory"),
        ({"max_pods": "10"}, "max_pods must be a whole number, not '10' \\(write max_pods=10\\)"),
        ({"labels": {"disk": 1}}, "labels must be a mapping from names to strings"),
        ({"config": 1}, "config must be a KubeletConfig, or None"),
        ({"name": 7}, "name must be a string, not 7"),
        (
            {"cores": 4},
            "there is no option 'cores' \\(options: name, cpu, memory, max_pods, job_seconds",
        ),
    ],
)
def test_an_option_of_a_node_is_checked_too(options: dict[str, Any], expected: str) -> None:
    """`add_node` adds nothing then."""
    with Cluster(nodes=1, hpa=False) as cluster:
        with pytest.raises(BadRequest, match=expected):
            cluster.add_node(**options)
        assert len(cluster.kubelets) == 1
    assert "name" in NODE


SPREAD = {"name": "PodTopologySpread"}


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({"percentageOfNodesToScore": "x"}, "percentageOfNodesToScore must be a whole number"),
        ({"percentageOfNodesToScore": "5"}, r"\(write percentageOfNodesToScore=5\)"),
        ({"percentageOfNodesToScore": -4}, "percentageOfNodesToScore must be 0 to 100, or None"),
        ({"percentageOfNodesToScore": 101}, "percentageOfNodesToScore must be 0 to 100, or None"),
        ({"percentageOfNodesToScore": True}, "percentageOfNodesToScore must be a whole number"),
        ({"nonsense": 3}, "a scheduler profile has no field 'nonsense' .*pluginConfig"),
        ({3: 3}, "a scheduler profile has no field 3"),
        ({"schedulerName": 3}, "3 cannot be the name of a scheduler"),
        ({"schedulerName": "A_b"}, "'A_b' cannot be the name of a scheduler"),
        ({"plugins": 3}, "plugins of a scheduler configuration must be a mapping"),
        ({"plugins": {3: {}}}, "there is no extension point '3'"),
        ({"pluginConfig": [{"name": "Nobody", "args": {}}]}, "there is no plug-in 'Nobody'"),
        ({"pluginConfig": [{"name": ["x"]}]}, "there is no plug-in"),
        ({"pluginConfig": 3}, "pluginConfig of a scheduler configuration must be a list"),
        ({"pluginConfig": [{"name": "NodeResourcesFit", "args": 3}]}, "the args of NodeResour"),
        ({"plugins": {"score": {"enabled": [{**SPREAD, "weight": "x"}]}}}, "weight must be a whol"),
        ({"plugins": {"score": {"enabled": [{**SPREAD, "weight": -1}]}}}, "weight must be 0 or m"),
    ],
)
def test_a_profile_is_checked_when_it_is_read(profile: Any, expected: str) -> None:
    """It would stop the scheduler at its first pod otherwise; a restart changes nothing then."""
    with pytest.raises(BadRequest, match=expected):
        Cluster(nodes=1, hpa=False, profile=profile)
    with Cluster(nodes=1, hpa=False) as cluster:
        before = cluster.scheduler
        with pytest.raises(BadRequest, match=expected):
            cluster.restart_scheduler(profile)
        assert cluster.scheduler is before


@pytest.mark.parametrize("percentage", [None, 0, 1, 100])
def test_valid_percentages_are_kept(percentage: int | None) -> None:
    """None is the scheduler's default."""
    profile = {"schedulerName": "packing.example", "percentageOfNodesToScore": percentage}
    with Cluster(nodes=1, hpa=False, profile=profile) as cluster:
        assert cluster.scheduler.framework.profile.percentage == percentage


@pytest.mark.parametrize("name", ["a b", "", 3, "Packer", "a/b", "default-scheduler"])
def test_names_of_schedulers_are_checked(name: Any) -> None:
    """A pod could not name them in its spec.schedulerName."""
    with pytest.raises(BadRequest, match="cannot be the name of a"):
        Cluster(nodes=1, hpa=False, schedulers={name: None})


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            lambda cluster: cluster.sleep("3"),
            r"seconds must be a number, not '3' \(write seconds=3",
        ),
        (lambda cluster: cluster.sleep(None), "seconds must be a number, not None"),
        (lambda cluster: cluster.serve(port="x"), "port must be a whole number, not 'x'"),
        (lambda cluster: cluster.serve(port=-1), "port must be 0 to 65535, not -1"),
        (lambda cluster: cluster.serve(port=65_536), "port must be 0 to 65535, not 65536"),
        (lambda cluster: cluster.serve(host=3), "host must be a string, not 3"),
        (lambda cluster: cluster.explain(3), 'reference must be a string such as "pod/web-0"'),
        (lambda cluster: cluster.trace(None), "reference must be a string"),
        (lambda cluster: cluster.rollout(3), "reference must be a string"),
        (lambda cluster: cluster.apply(3), "manifest must be a path, YAML, or dictionaries, not 3"),
        (lambda cluster: cluster.delete(None), "manifest must be a path, YAML, or dictionaries"),
    ],
)
def test_arguments_of_methods_are_checked(call: Any, expected: str) -> None:
    """As those of the constructor."""
    with Cluster(nodes=1, hpa=False) as cluster, pytest.raises(BadRequest, match=expected):
        call(cluster)


class Rate:
    """A traffic model."""

    def rate(self, now: float) -> float:
        """A constant."""
        return 5.0


@pytest.mark.parametrize("rate", [-1, NAN, INFINITY, True, "10", object(), Rate])
def test_a_rate_is_a_number_or_a_model(rate: Any) -> None:
    """Nothing is routed otherwise."""
    with Cluster(nodes=1) as cluster:
        with pytest.raises(BadRequest, match="the rate must be a number") as caught:
            cluster.set_traffic(rate)
        assert "rate(now)" in caught.value.hint
        assert cluster.traffic.routes() == []
        cluster.set_traffic(Rate())
        cluster.set_traffic(0)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (whole_number(), [0, -3, 10**30], [1.0, "1", None, False]),
        (whole_number(1), [1, 2], [0, -1, 1.5]),
        (number(), [0, 0.0, 7, 1e300], [-0.1, NAN, INFINITY, True, "1", 1j, None]),
        (number(above=True), [1e-9, 1], [0, -1, NAN]),
        (flag, [True, False], [0, 1, None, "True"]),
        (cpu_quantity, ["4", "500m", 4, 0.5], ["4 cores", "", None, -1, True, NAN, INFINITY]),
        (memory_quantity, ["8Gi", "100M", 1024], ["8GB", [], "-1Gi", NAN]),
        (optional(flag), [None, True], [0]),
        (function, [print, len], [3, None]),
        (having("recommend", "x"), [Policy()], [Policy, object()]),
        (mapping_of(flag, "x"), [{}, {"a": True}], [{"a": 1}, {"": True}, {1: True}, [], None]),
    ],
)
def test_checks(check: Check, good: list[Any], bad: list[Any]) -> None:
    """Each check says what it expects, or nothing."""
    assert [check(value) for value in good] == [None] * len(good)
    assert all(check(value) for value in bad)


def test_a_long_value_is_cut() -> None:
    """The sentence stays readable."""
    with pytest.raises(BadRequest, match="xxx\\.\\.\\.") as caught:
        check_arguments({"a": flag}, {"a": "x" * 500})
    assert len(str(caught.value)) < 120
