"""LimitRanges and ResourceQuotas: defaults, bounds, and limits of a namespace."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_config_map, a_pod, a_service, a_workload

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.admission.limits import ANNOTATION, breaches
from kubesim.cluster import Cluster
from kubesim.errors import Forbidden, Invalid
from kubesim.objects.usage import is_in_scope, text_of, usage_of


def limits(*items: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "l"},
        "spec": {"limits": list(items)},
    }


def quota(name: str = "q", **hard: str) -> dict[str, Any]:
    named = {key.replace("_", "."): value for key, value in hard.items()}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name},
        "spec": {"hard": named},
    }


def pod(name: str = "web", **resources: Any) -> dict[str, Any]:
    new = a_pod(name)
    new["spec"]["containers"][0]["resources"] = resources
    return new


def refusal(api: KubeAPI, document: dict[str, Any]) -> str:
    with pytest.raises(Forbidden) as refused:
        api.create(document)
    assert refused.value.code == 403
    return refused.value.message


# -- LimitRange ------------------------------------------------------------------------------------


def test_defaults_of_a_limit_range_follow_from_what_it_says(api: KubeAPI) -> None:
    """The default limit is the maximum; the default request that limit or the minimum."""
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1m", "memory": "1Mi"}}
    new = api.create(limits(item))["spec"]["limits"][0]
    assert new["default"] == {"cpu": "2"}
    assert new["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_containers_get_the_defaults_and_say_so(api: KubeAPI) -> None:
    """Missing requests and limits are set and listed in an annotation."""
    item = {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}}
    api.create(limits(item))
    new = api.create(pod(requests={"memory": "1Gi"}))
    assert new["spec"]["containers"][0]["resources"] == {
        "requests": {"memory": "1Gi", "cpu": "100m"},
        "limits": {"cpu": "1"},
    }
    assert new["metadata"]["annotations"][ANNOTATION] == (
        "LimitRanger plugin set: cpu request for container main; cpu limit for container main"
    )
    text = api.create(pod("text", requests={"cpu": "50m"}, limits={"cpu": "60m"}))
    assert ANNOTATION not in text["metadata"].get("annotations", {})


BOUNDS = [
    (
        {"max": {"cpu": "1"}},
        {"limits": {"cpu": "2"}},
        "maximum cpu usage per Container is 1, but limit is 2",
    ),
    ({"max": {"cpu": "1"}}, {}, "maximum cpu usage per Container is 1.  No limit is specified"),
    ({"min": {"cpu": "1"}}, {}, "minimum cpu usage per Container is 1.  No request is specified"),
    (
        {"min": {"cpu": "1"}},
        {"requests": {"cpu": "500m"}},
        "minimum cpu usage per Container is 1, but request is 500m",
    ),
    (
        {"max": {"memory": "1Gi"}},
        {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}},
        "maximum memory usage per Container is 1Gi, but request is 2Gi",
    ),
    (
        {"maxLimitRequestRatio": {"cpu": "2"}},
        {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}},
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
    ),
    (
        {"maxLimitRequestRatio": {"cpu": "2"}},
        {},
        "cpu max limit to request ratio per Container is 2, but no request is specified or request "
        "is 0",
    ),
    ({"max": {"cpu": "1"}}, {"limits": {"cpu": "1"}}, ""),
]


@pytest.mark.parametrize(("item", "resources", "words"), BOUNDS)
def test_bounds_of_containers(item: Any, resources: Any, words: str) -> None:
    """Minimum, maximum and ratio are checked, with their values in the message."""
    result = breaches("Pod", pod(**resources), [{"type": "Container", **item}])
    assert result == ([words] if words else [])


def test_bounds_of_pods_add_up(api: KubeAPI) -> None:
    """Bounds of type Pod apply to the sum; all violations are in one message."""
    api.create(limits({"type": "Pod", "max": {"cpu": "1", "memory": "1Gi"}}))
    new = pod(limits={"cpu": "600m", "memory": "2Gi"})
    new["spec"]["containers"].append({**new["spec"]["containers"][0], "name": "other"})
    assert refusal(api, new) == (
        'pods "web" is forbidden: [maximum cpu usage per Pod is 1, but limit is 1200m, maximum '
        "memory usage per Pod is 1Gi, but limit is 4Gi]"
    )


def test_claims_are_bounded_too(api: KubeAPI) -> None:
    """A claim may be too small or too large."""
    api.create(limits({"type": "PersistentVolumeClaim", "min": {"storage": "2Gi"}}))
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c"},
        "spec": spec,
    }
    assert refusal(api, claim) == (
        'persistentvolumeclaims "c" is forbidden: minimum storage usage per PersistentVolumeClaim '
        "is 2Gi, but request is 1Gi"
    )


# -- ResourceQuota ---------------------------------------------------------------------------------


def test_a_count_that_is_full(api: KubeAPI) -> None:
    """The message has requested, used and allowed amounts; other namespaces do not count."""
    api.create(quota(pods="1"))
    api.create(a_pod("a"))
    assert refusal(api, a_pod("b")) == (
        'pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    )
    api.create(a_pod("b"), namespace="kube-system")
    api.delete("Pod", "a", grace_period_seconds=0)
    assert api.create(a_pod("b"))


def test_finished_pods_take_nothing(api: KubeAPI) -> None:
    """A finished pod does not count."""
    api.create(quota(pods="1"))
    api.create(a_pod("a"))
    api.update_status({**a_pod("a"), "status": {"phase": "Succeeded"}})
    assert api.create(a_pod("b"))


def test_compute_resources_add_up_and_must_be_specified(api: KubeAPI) -> None:
    """Requests and limits count; a container without them is refused."""
    api.create(quota(requests_cpu="1", limits_memory="1Gi"))
    assert refusal(api, a_pod()) == (
        'pods "web" is forbidden: failed quota: q: must specify limits.memory for: main; '
        "requests.cpu for: main"
    )
    api.create(pod("a", requests={"cpu": "600m"}, limits={"memory": "512Mi"}))
    result = refusal(api, pod("b", requests={"cpu": "600m"}, limits={"memory": "768Mi"}))
    assert result == (
        'pods "b" is forbidden: exceeded quota: q, requested: limits.memory=768Mi,'
        "requests.cpu=600m, used: limits.memory=512Mi,requests.cpu=600m, limited: "
        "limits.memory=1Gi,requests.cpu=1"
    )
    assert api.create(pod("c", requests={"cpu": "400m"}, limits={"memory": "512Mi"}))


def test_defaults_come_before_the_quota(api: KubeAPI) -> None:
    """Defaults of a LimitRange satisfy the quota."""
    api.create(quota(requests_cpu="1"))
    api.create(limits({"type": "Container", "defaultRequest": {"cpu": "400m"}}))
    api.create(a_pod("a")), api.create(a_pod("b"))
    assert "exceeded quota" in refusal(api, a_pod("c"))


@pytest.mark.parametrize(
    ("hard", "first", "second"),
    [
        ({"configmaps": "1"}, a_config_map("a"), a_config_map("b")),
        ({"count/configmaps": "1"}, a_config_map("a"), a_config_map("b")),
        (
            {"services.nodeports": "1"},
            a_service("a", type="NodePort"),
            a_service("b", type="NodePort"),
        ),
        (
            {"count/deployments.apps": "1"},
            a_workload("Deployment", "a"),
            a_workload("Deployment", "b"),
        ),
    ],
)
def test_counts_of_other_kinds(api: KubeAPI, hard: Any, first: Any, second: Any) -> None:
    """Objects of any kind can be counted, and ports of services."""
    new = quota()
    new["spec"]["hard"] = hard
    api.create(new)
    api.create(first)
    assert "exceeded quota: q" in refusal(api, second)


def test_a_dry_run_asks_the_quota_too(api: KubeAPI) -> None:
    """Admission is part of a dry run."""
    api.create(quota(pods="0"))
    with pytest.raises(Forbidden):
        api.create(a_pod(), dry_run=True)


SCOPED = [
    (["BestEffort"], {}, True),
    (["BestEffort"], {"requests": {"cpu": "1"}}, False),
    (["NotBestEffort"], {"requests": {"cpu": "1"}}, True),
    (["NotTerminating"], {}, True),
    (["Terminating"], {}, False),
    (["Terminating", "BestEffort"], {}, False),
    ([], {}, True),
]


@pytest.mark.parametrize(("scopes", "resources", "counts"), SCOPED)
def test_scopes_choose_among_pods(scopes: list[str], resources: Any, counts: bool) -> None:
    """All scopes of a quota must match; a quota with scopes concerns pods only."""
    new = quota()
    new["spec"]["scopes"] = scopes
    assert is_in_scope(new, "pods", pod(**resources)) is counts
    assert is_in_scope(new, "secrets", {}) is not bool(scopes)


def test_init_containers_and_sidecars_in_the_sum() -> None:
    """Sidecars are added to the main containers; an init container counts if it is larger."""
    new = pod(requests={"cpu": "1"})
    new["spec"]["initContainers"] = [
        {"name": "i", "resources": {"requests": {"cpu": "1500m", "memory": "1Gi"}}},
        {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}},
    ]
    new["spec"]["overhead"] = {"cpu": "50m"}
    result = usage_of("pods", "", new)
    assert text_of("requests.cpu", result["requests.cpu"]) == "1550m"
    assert text_of("requests.memory", result["requests.memory"]) == "1Gi"


def test_resources_of_the_pod_replace_the_sum() -> None:
    """What a pod requests as a whole counts, and an overhead raises limits that are there."""
    new = pod(requests={"cpu": "1", "memory": "1Gi"}, limits={"cpu": "1"})
    new["spec"]["resources"] = {"requests": {"cpu": "3"}, "limits": {"cpu": "4"}}
    new["spec"]["overhead"] = {"cpu": "50m", "memory": "1Mi"}
    result = usage_of("pods", "", new)
    assert text_of("requests.cpu", result["requests.cpu"]) == "3050m"
    assert text_of("requests.memory", result["requests.memory"]) == "1025Mi"
    assert text_of("limits.cpu", result["limits.cpu"]) == "4050m"
    assert "limits.memory" not in result


def test_an_init_container_runs_beside_the_sidecars_before_it() -> None:
    """The peak of the init phase counts if it is larger than the sum of what runs later."""
    new = pod(requests={"cpu": "100m"})
    new["spec"]["initContainers"] = [
        {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}},
        {"name": "i", "resources": {"requests": {"cpu": "1500m"}}},
    ]
    assert text_of("cpu", usage_of("pods", "", new)["cpu"]) == "1750m"


def test_a_replica_set_meets_the_quota_and_goes_on_when_there_is_room() -> None:
    """The message of FailedCreate names the quota; a larger quota admits the rest."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.apply([quota(pods="2"), a_workload("Deployment", replicas=4)])
        cluster.sleep(30)
        assert len(cluster.api.list("Pod")["items"]) == 2
        status = cluster.api.get("quota", "q")["status"]
        assert status == {"hard": {"pods": "2"}, "used": {"pods": "2"}}
        notes = [
            e["message"]
            for e in cluster.api.list("Event")["items"]
            if e["reason"] == "FailedCreate"
        ]
        assert (
            notes
            and "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2" in notes[0]
        )
        cluster.apply(quota(pods="9"))
        cluster.sleep(300)
        assert len(cluster.api.list("Pod")["items"]) == 4
        assert cluster.api.get("quota", "q")["status"]["used"] == {"pods": "4"}
        assert cluster.get("quota").column("Request") == ["pods: 4/9"]


def test_the_status_counts_any_kind_by_name() -> None:
    """Rarely limited kinds are counted when the quota is synced."""
    new = quota()
    new["spec"]["hard"] = {
        "count/leases.coordination.k8s.io": "5",
        "count/gadgets.example.com": "5",
        "secrets": "3",
    }
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.apply([lease, secret, new])
        cluster.sleep(5)
        assert cluster.api.get("quota", "q")["status"]["used"] == {
            "count/leases.coordination.k8s.io": "1",
            "count/gadgets.example.com": "0",
            "secrets": "1",
        }
        cluster.delete(secret)
        cluster.sleep(5)
        assert cluster.api.get("quota", "q")["status"]["used"]["secrets"] == "0"
        assert not cluster.failures


# -- rules -----------------------------------------------------------------------------------------

LIMIT_RULES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"min": {"cpu": "2"}, "max": {"cpu": "1"}},
        "spec.limits[0].min[cpu]",
        'Invalid value: "2": min value 2 is greater than max value 1',
    ),
    (
        {"min": {"cpu": "1"}, "defaultRequest": {"cpu": "500m"}, "max": {"cpu": "2"}},
        "spec.limits[0].defaultRequest[cpu]",
        'Invalid value: "500m": min value 1 is greater than default request value 500m',
    ),
    (
        {"defaultRequest": {"memory": "2Gi"}, "max": {"memory": "1Gi"}, "default": {"memory": "1"}},
        "spec.limits[0].defaultRequest[memory]",
        'Invalid value: "2Gi": default request value 2Gi is greater than max value 1Gi',
    ),
    (
        {"defaultRequest": {"cpu": "2"}, "default": {"cpu": "1"}},
        "spec.limits[0].defaultRequest[cpu]",
        'Invalid value: "2": default request value 2 is greater than default limit value 1',
    ),
    (
        {"min": {"cpu": "2"}, "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}},
        "spec.limits[0].default[cpu]",
        'Invalid value: "2": min value 2 is greater than default value 1',
    ),
    (
        {"max": {"cpu": "1"}, "default": {"cpu": "2"}},
        "spec.limits[0].default[cpu]",
        'Invalid value: "1": default value 2 is greater than max value 1',
    ),
    (
        {"type": "Pod", "default": {"cpu": "1"}},
        "spec.limits[0].default",
        "Forbidden: may not be specified when `type` is 'Pod'",
    ),
    (
        {"type": "Pod", "defaultRequest": {"cpu": "1"}},
        "spec.limits[0].defaultRequest",
        "Forbidden: may not be specified when `type` is 'Pod'",
    ),
    (
        {"maxLimitRequestRatio": {"cpu": "500m"}},
        "spec.limits[0].maxLimitRequestRatio[cpu]",
        'Invalid value: "500m": ratio 500m is less than 1',
    ),
    (
        {"min": {"cpu": "1"}, "max": {"cpu": "3"}, "maxLimitRequestRatio": {"cpu": "4"}},
        "spec.limits[0].maxLimitRequestRatio[cpu]",
        'Invalid value: "4": ratio 4 is greater than max/min = 3.000000',
    ),
    (
        {"max": {"cpus": "1"}},
        "spec.limits[0].max[cpus]",
        'Invalid value: "cpus": must be a standard resource type or fully qualified',
    ),
    (
        {"max": {"pods": "1"}},
        "spec.limits[0].max[pods]",
        'Invalid value: "pods": must be a standard resource for containers',
    ),
    (
        {"type": "PersistentVolumeClaim", "max": {"cpu": "1"}},
        "spec.limits[0].limits",
        "Required value: either minimum or maximum storage value is required, but neither was "
        "provided",
    ),
    (
        {"default": {"nvidia.com/gpu": "2"}, "defaultRequest": {"nvidia.com/gpu": "1"}},
        "spec.limits[0].defaultRequest[nvidia.com/gpu]",
        'Invalid value: "1": default value 2 must equal to defaultRequest value 1 in '
        "nvidia.com/gpu",
    ),
]


@pytest.mark.parametrize(("item", "path", "text"), LIMIT_RULES)
def test_rules_of_limit_ranges(api: KubeAPI, item: dict[str, Any], path: str, text: str) -> None:
    """Bounds and defaults must agree, with upstream's paths and texts."""
    new = {"kind": "LimitRange", "apiVersion": "v1", "metadata": {"name": "l"}}
    with pytest.raises(Invalid) as refused:
        api.create({**new, "spec": {"limits": [{"type": "Container", **item}]}})
    assert (path, text) in [(cause.field, cause.message) for cause in refused.value.causes]


def test_limit_ranges_that_are_right(api: KubeAPI) -> None:
    """Equal bounds, a ratio of exactly max / min, storage of claims, extended resources."""
    for number, item in enumerate(
        (
            {"min": {"cpu": "1"}, "max": {"cpu": "1"}},
            {"min": {"cpu": "1"}, "max": {"cpu": "3"}, "maxLimitRequestRatio": {"cpu": "3"}},
            {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}},
            {"type": "Pod", "max": {"cpu": "4", "hugepages-2Mi": "4Mi"}},
            {"default": {"nvidia.com/gpu": "1"}, "defaultRequest": {"nvidia.com/gpu": "1"}},
        )
    ):
        new = {"kind": "LimitRange", "apiVersion": "v1", "metadata": {"name": f"l{number}"}}
        api.create({**new, "spec": {"limits": [{"type": "Container", **item}]}})


def selecting(scope: str, operator: str = "Exists", *values: str) -> dict[str, Any]:
    requirement: dict[str, Any] = {"scopeName": scope, "operator": operator}
    if values:
        requirement["values"] = list(values)
    return {"scopeSelector": {"matchExpressions": [requirement]}}


EXPRESSIONS = "spec.scopeSelector.matchExpressions"
QUOTA_RULES: list[tuple[dict[str, Any], str, str]] = [
    ({"scopes": ["Gold"]}, "spec.scopes", 'Invalid value: ["Gold"]: unsupported scope'),
    (
        {"scopes": ["BestEffort"], "hard": {"cpu": "1"}},
        "spec.scopes",
        'Invalid value: ["BestEffort"]: unsupported scope applied to resource',
    ),
    (
        {"scopes": ["Terminating"], "hard": {"secrets": "1"}},
        "spec.scopes",
        'Invalid value: ["Terminating"]: unsupported scope applied to resource',
    ),
    (
        {"scopes": ["BestEffort", "NotBestEffort"]},
        "spec.scopes",
        'Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes',
    ),
    (selecting("Gold"), f"{EXPRESSIONS}.scopeName", 'Invalid value: "Gold": unsupported scope'),
    (
        selecting("BestEffort", "In", "x"),
        f"{EXPRESSIONS}.operator",
        "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ",
    ),
    (
        selecting("PriorityClass", "In"),
        f"{EXPRESSIONS}.values",
        "Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope "
        "selector",
    ),
    (
        selecting("PriorityClass", "Exists", "high"),
        f"{EXPRESSIONS}.values",
        "Invalid value: [\"high\"]: must be no value when `operator` is 'Exist' or ",
    ),
    (
        selecting("PriorityClass", "Like", "high"),
        f"{EXPRESSIONS}.operator",
        'Invalid value: "Like": not a valid selector operator',
    ),
    (
        {**selecting("PriorityClass"), "hard": {"configmaps": "1"}},
        EXPRESSIONS,
        "unsupported scope applied to resource",
    ),
]


@pytest.mark.parametrize(("spec", "path", "text"), QUOTA_RULES)
def test_rules_of_scopes(api: KubeAPI, spec: dict[str, Any], path: str, text: str) -> None:
    """Scopes that exist, fit their resources and each other; operators with their values."""
    new = {"kind": "ResourceQuota", "apiVersion": "v1", "metadata": {"name": "q"}}
    with pytest.raises(Invalid) as refused:
        api.create({**new, "spec": {"hard": {"pods": "1"}, **spec}})
    messages = [cause.message for cause in refused.value.causes if cause.field == path]
    assert any(text in message for message in messages), refused.value.causes


def test_scopes_are_immutable(api: KubeAPI) -> None:
    """The order may change; the set may not."""
    new = quota(pods="1")
    new["spec"]["scopes"] = ["NotTerminating", "NotBestEffort"]
    api.create(new)
    api.patch("quota", "q", {"spec": {"scopes": ["NotBestEffort", "NotTerminating"]}})
    with pytest.raises(Invalid, match=r'spec.scopes: Invalid value: \["NotBestEffort"\]: field is'):
        api.patch("quota", "q", {"spec": {"scopes": ["NotBestEffort"]}})


OTHERS = {"namespaces": ["x"], "topologyKey": "k", "labelSelector": {}}
SELECTED = [
    (selecting("PriorityClass", "In", "high", "low"), {"priorityClassName": "high"}, True),
    (selecting("PriorityClass", "In", "high"), {"priorityClassName": "low"}, False),
    (selecting("PriorityClass", "In", "high"), {}, False),
    (selecting("PriorityClass", "NotIn", "high"), {"priorityClassName": "low"}, True),
    (selecting("PriorityClass", "NotIn", "high"), {}, True),
    (selecting("PriorityClass"), {"priorityClassName": "low"}, True),
    (selecting("PriorityClass"), {}, False),
    (selecting("PriorityClass", "DoesNotExist"), {}, True),
    (selecting("Terminating"), {"activeDeadlineSeconds": 5}, True),
    (selecting("Terminating"), {}, False),
    (
        selecting("CrossNamespacePodAffinity"),
        {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [OTHERS]}}},
        True,
    ),
    (
        selecting("CrossNamespacePodAffinity"),
        {
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 1, "podAffinityTerm": {"topologyKey": "k"}}
                    ]
                }
            }
        },
        False,
    ),
]


@pytest.mark.parametrize(("selector", "spec", "counts"), SELECTED)
def test_a_scope_selector_chooses_among_pods(
    selector: dict[str, Any], spec: dict[str, Any], counts: bool
) -> None:
    """By priority class, deadline and affinity; other kinds are not counted."""
    new = quota()
    new["spec"] |= selector
    document = pod()
    document["spec"] |= spec
    assert is_in_scope(new, "pods", document) is counts
    assert not is_in_scope(new, "secrets", {})


def test_a_quota_for_one_priority_class_admits_the_others(api: KubeAPI) -> None:
    """The quota is full of important pods; ordinary ones still come in."""
    priority = {"kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", "value": 10}
    api.create({**priority, "metadata": {"name": "high"}})
    new = quota(pods="1")
    new["spec"] |= selecting("PriorityClass", "In", "high")
    api.create(new)

    def important(name: str) -> dict[str, Any]:
        document = a_pod(name)
        document["spec"]["priorityClassName"] = "high"
        return document

    api.create(important("a"))
    assert "exceeded quota: q" in refusal(api, important("b"))
    api.create(a_pod("c"))
