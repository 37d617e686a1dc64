"""LimitRanges and ResourceQuotas: defaults, bounds, and limits of a namespace."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_config_map, a_pod, a_service, a_workload

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.admission.limits import ANNOTATION, breaches
from kubesim.cluster import Cluster
from kubesim.errors import Forbidden
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
