"""From documents to numbers and back."""

from __future__ import annotations

from typing import Any

import pytest
from hpa_builders import decide, external, seen

from kubesim.autoscaler import Behavior, Metric, PodFacts, Rules, Sample, ScalingPolicy
from kubesim.autoscaler.hpa_spec import behavior_of, metric_of, metrics_of, selector_text
from kubesim.autoscaler.observer import facts_of, request_milli, sample_of
from kubesim.autoscaler.records import checked, from_number, short_name, with_conditions
from kubesim.autoscaler.selector_index import SelectorIndex, anchor_of
from kubesim.objects.frozen import freeze
from kubesim.objects.selectors import parse_label_selector


def container(name: str = "main", **requests: str) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": requests}} if requests else {"name": name}


def a_pod(*containers: dict[str, Any], init: Any = (), **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p0"},
        "spec": {"containers": list(containers), "initContainers": list(init), **spec},
    }


SIDECAR = {**container("proxy", cpu="50m", memory="1Mi"), "restartPolicy": "Always"}
SETUP = container("setup", cpu="3", memory="5Gi")


@pytest.mark.parametrize(
    ("pod", "resource", "name", "milli"),
    [
        (a_pod(container(cpu="200m"), container("b", cpu="0.1")), "cpu", "", 300),
        (a_pod(container(cpu="200m"), init=[SIDECAR]), "cpu", "", 250),
        (a_pod(container(cpu="200m"), init=[SETUP]), "cpu", "", 200),  # ordinary ones do not count
        (a_pod(container(cpu="200m"), init=[container("i")]), "cpu", "", 200),
        (a_pod(container(cpu="200m"), container("b")), "cpu", "", None),
        (a_pod(container(cpu="200m")), "memory", "", None),
        (a_pod(container(memory="1Ki")), "memory", "", 1_024_000),
        (a_pod(container(cpu="0")), "cpu", "", 0),  # a named zero is a request
        (a_pod(container(cpu="200m"), container("b", cpu="1")), "cpu", "b", 1000),
        (a_pod(container(cpu="200m"), container("b")), "cpu", "main", 200),
        (a_pod(container(cpu="200m"), init=[SIDECAR]), "cpu", "proxy", 50),
        (a_pod(container(cpu="200m"), init=[SETUP]), "cpu", "setup", None),
        (a_pod(container(cpu="200m")), "cpu", "nobody", None),
        (a_pod(container(cpu="1"), resources={"requests": {"cpu": "700m"}}), "cpu", "", 700),
        (a_pod(container(), resources={"requests": {"memory": "2Ki"}}), "memory", "", 2_048_000),
        (a_pod(container(cpu="1"), resources={"requests": {"cpu": "2"}}), "cpu", "main", 1000),
        (a_pod(container(cpu="1"), resources={"requests": {"memory": "2Ki"}}), "cpu", "", 1000),
        (
            a_pod(container(), resources={"requests": {"cpu": "2"}}, overhead={"cpu": "250m"}),
            "cpu",
            "",
            2250,
        ),
        (a_pod(container(cpu="0"), resources={"requests": {"memory": "2Ki"}}), "cpu", "", 0),
        (a_pod(container(), resources={"requests": {"memory": "2Ki"}}), "cpu", "", None),
        (a_pod(container(memory="1500m")), "memory", "", 1500),
        (a_pod(container(), resources={"requests": {"memory": "1500m"}}), "memory", "", 1500),
        (a_pod(), "cpu", "", None),
    ],
)
def test_requests(pod, resource, name, milli) -> None:
    """Containers and sidecars count; one without breaks it; a pod-level request takes over."""
    assert request_milli(pod, resource, name) == milli


@pytest.mark.parametrize(
    ("resource", "name", "milli"),
    [
        ("cpu", "", 130),
        ("memory", "", 70_000_000_000),
        ("cpu", "proxy", 30),
        ("cpu", "nobody", None),
        ("gpu", "", None),
    ],
)
def test_samples(resource, name, milli) -> None:
    """The sum of every listed container, or the one that is named."""
    raw = (12.0, 1.0, (("main", 100, 60_000_000), ("proxy", 30, 10_000_000)))
    wanted = None if milli is None else Sample(milli, 12.0, 1.0)
    assert sample_of(raw, resource, name) == wanted


def test_no_sample_is_none() -> None:
    """Neither an absent entry nor one without containers is zero."""
    assert sample_of(None, "cpu") is None
    assert sample_of((1.0, 1.0, ()), "cpu") is None


def test_facts_of_a_pod() -> None:
    """Whatever is not written is not known."""
    times = {"2025-01-01T00:00:05Z": 5.0, "2025-01-01T00:00:09Z": 9.0}
    pod = a_pod(container())
    assert facts_of(pod, times.__getitem__) == PodFacts("p0", "Pending", False, None, 0.0, None)
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:09Z"}
    pod["status"] = {
        "phase": "Running",
        "startTime": "2025-01-01T00:00:05Z",
        "conditions": [ready],
    }
    pod["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:20Z"
    assert facts_of(pod, times.__getitem__) == PodFacts("p0", "Running", True, True, 9.0, 5.0)
    ready["status"] = "Unknown"
    assert facts_of(freeze(pod), times.__getitem__).ready == "Unknown"
    ready["status"] = "False"
    assert facts_of(pod, times.__getitem__).ready is False


def test_metrics_default_to_cpu_80_percent() -> None:
    """As the API server fills in."""
    ((metric, entry),) = metrics_of({"spec": {}})
    assert metric == Metric(utilization=80)
    assert entry["resource"]["name"] == "cpu"


@pytest.mark.parametrize(
    ("entry", "metric"),
    [
        (
            {
                "type": "Resource",
                "resource": {
                    "name": "memory",
                    "target": {"type": "AverageValue", "averageValue": "1Ki"},
                },
            },
            Metric("Resource", "memory", target_type="AverageValue", average_milli=1_024_000),
        ),
        (
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "main",
                    "target": {"type": "Utilization", "averageUtilization": 60},
                },
            },
            Metric("ContainerResource", "cpu", "main", utilization=60),
        ),
        (
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "qps"},
                    "target": {"type": "AverageValue", "averageValue": "1.5k"},
                },
            },
            Metric("Pods", "qps", target_type="AverageValue", average_milli=1_500_000),
        ),
        (
            {
                "type": "Object",
                "object": {
                    "describedObject": {"kind": "Ingress", "name": "main"},
                    "metric": {"name": "hits", "selector": {}},
                    "target": {"type": "Value", "value": "0.0001"},
                },
            },
            Metric(
                "Object",
                "hits",
                target_type="Value",
                value_milli=1,  # rounded up
                about="Ingress",
                selector="&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{},}",
            ),
        ),
        ({"type": "Guess"}, Metric("Guess", "", target_type="")),
    ],
)
def test_entries_of_spec_metrics(entry, metric) -> None:
    """Quantities become milli units; an unknown type stays what it is."""
    assert metric_of(freeze(entry)) == metric


def test_selectors_are_printed_as_go_does() -> None:
    """Expressions, too."""
    selector = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["x", "y"]}],
    }
    assert selector_text(selector) == (
        "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:"
        "[]LabelSelectorRequirement{LabelSelectorRequirement{"
        "Key:tier,Operator:In,Values:[x y],},},}"
    )
    assert selector_text(None) == "nil"


def test_behaviors() -> None:
    """None, `{}` and a given field are three things."""
    assert behavior_of({"spec": {}}) is None
    assert behavior_of({"spec": {"behavior": {}}}) == Behavior()
    policy = {"type": "Pods", "value": 2, "periodSeconds": 60}
    up = {"stabilizationWindowSeconds": 0, "policies": [policy], "tolerance": "50m"}
    found = behavior_of(
        {"spec": {"behavior": {"scaleUp": up, "scaleDown": {"selectPolicy": "Min"}}}}
    )
    assert found == Behavior(
        Rules(0.0, None, (ScalingPolicy("Pods", 2, 60),), 0.05), Rules(select="Min")
    )


def test_conditions_are_set_one_after_the_other() -> None:
    """The last one stands, in the place of the first; the transition keeps its time."""
    old = {
        "conditions": [{"type": "A", "status": "True", "lastTransitionTime": "t0", "reason": "x"}]
    }
    new = with_conditions(
        old, [("B", "True", "b", ""), ("A", "True", "y", "m"), ("B", "False", "c", "")], "t1"
    )
    assert new["conditions"] == [
        {"type": "A", "status": "True", "lastTransitionTime": "t0", "reason": "y", "message": "m"},
        {"type": "B", "status": "False", "lastTransitionTime": "t1", "reason": "c"},
    ]
    assert old["conditions"][0]["reason"] == "x"


# -- HPAs that select the same pods ----------------------------------------------------------------


def labelled(**labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "p", "labels": labels}}


@pytest.mark.parametrize(
    ("text", "anchor"),
    [("app=web", "app=web"), ("tier in (a,b),app=web", "app=web"), ("!old", ""), ("app!=web", "")],
)
def test_anchors(text, anchor) -> None:
    """A label that every selected pod has, if the selector demands one."""
    assert anchor_of(parse_label_selector(text)) == anchor


def test_the_book_of_selectors() -> None:
    """Found by the pods, by namespace; changed and dropped."""
    book = SelectorIndex()
    book.put("default/a", "default", parse_label_selector("app=web"))
    book.put("default/b", "default", parse_label_selector("tier in (x,y)"))
    book.put("lab/c", "lab", parse_label_selector("app=web"))
    pods = [labelled(app="web"), labelled(app="db", tier="x")]
    assert book.selecting("default", pods) == ["default/a", "default/b"]
    assert book.selecting("default", pods[:1]) == ["default/a"]
    assert book.selecting("lab", pods) == ["lab/c"]
    assert book.selecting("default", []) == []
    book.put("default/b", "default", parse_label_selector("tier=z"))
    assert book.selecting("default", pods) == ["default/a"]
    book.drop("default/a")
    book.drop("default/nobody")
    assert book.selecting("default", pods) == []


# -- answers of policies ---------------------------------------------------------------------------


def test_the_built_in_algorithm_passes_the_check_unchanged() -> None:
    """It keeps the bounds by itself, paused or not."""
    for current in (0, 1, 5, 50):
        case = seen(external(7, average=1), current=current, minimum=2, maximum=9, pods=())
        result = decide(external(7, average=1), current=current, minimum=2, maximum=9, pods=())
        assert checked(case, result) is result


@pytest.mark.parametrize(
    ("number", "wanted"), [(3, 3), (2.5, 2), (3.5, 4), (-1, 0), (1e300, 2**31 - 1)]
)
def test_numbers_are_rounded(number, wanted) -> None:
    """To whole pods, none below 0, none above an int32."""
    assert from_number(seen(current=1), number).replicas == wanted


def test_short_names() -> None:
    """The namespace is part of the name unless it is `default`."""
    assert short_name({"metadata": {"name": "web", "namespace": "default"}}) == "web"
    assert short_name({"metadata": {"name": "web", "namespace": "lab"}}) == "lab/web"
