"""Eviction: the rules as rows, and the verb on stored pods and budgets."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.verbs.eviction import MAX_DISRUPTED_PODS, why_refused
from kubesim.clock import VirtualClock
from kubesim.errors import BadRequest, Conflict, Forbidden, NotFound, StatusError, TooManyRequests

REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


@pytest.fixture
def pod(api: KubeAPI) -> dict[str, Any]:
    """A pod ``web`` that runs and is ready on a node."""
    return make_pod(api)


def make_pod(api: KubeAPI, name: str = "web", **status: Any) -> dict[str, Any]:
    """A bound pod with that status."""
    api.create(
        {
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "i"}]},
        }
    )
    api.bind(name, "default", "node-1")
    ready = [{"type": "Ready", "status": "True"}]
    return set_status(api, name, **{"phase": "Running", "conditions": ready, **status})


def set_status(api: KubeAPI, name: str, **status: Any) -> dict[str, Any]:
    """Write parts of a pod's status, as its kubelet would."""
    found = api.get("Pod", name)
    return api.update_status({**found, "status": {**found["status"], **status}})


def budget(api: KubeAPI, name: str = "web", **status: Any) -> dict[str, Any]:
    """A budget for app=web whose controller wrote that status; spec by its own key."""
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    spec.update(status.pop("spec", {}))
    made = api.create({"kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec})
    counts = {
        "observedGeneration": 1,
        "disruptionsAllowed": 1,
        "currentHealthy": 3,
        "desiredHealthy": 2,
        "expectedPods": 3,
        **status,
    }
    return api.update_status({**made, "status": counts})


def status_of(api: KubeAPI, name: str = "web") -> dict[str, Any]:
    """The budget's status."""
    return api.get("PodDisruptionBudget", name)["status"]  # type: ignore[no-any-return]


def is_leaving(api: KubeAPI, name: str = "web") -> bool:
    """Whether the pod is gone or on its way."""
    found = api.peek("Pod", name)
    return found is None or "deletionTimestamp" in found["metadata"]


def test_an_eviction_takes_one_from_the_budget(api: KubeAPI, pod: dict[str, Any]) -> None:
    """And notes for whom; the pod says why it goes; the answer is a Status."""
    clock = api.clock
    assert isinstance(clock, VirtualClock)
    budget(api)
    clock.advance_to(7.0)
    assert api.evict("web")["status"] == "Success"
    status = status_of(api)
    assert status["disruptionsAllowed"] == 0
    assert status["disruptedPods"] == {"web": clock.timestamp(7.0)}
    condition = status["conditions"][0]
    assert (condition["type"], condition["status"]) == ("DisruptionAllowed", "False")
    assert condition["reason"] == "InsufficientPods"
    found = api.get("Pod", "web")
    assert found["metadata"]["deletionGracePeriodSeconds"] == 30
    target = found["status"]["conditions"][-1]
    assert target == {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": clock.timestamp(7.0),
    }


def test_a_budget_without_room_refuses(api: KubeAPI, pod: dict[str, Any]) -> None:
    """429 with the budget's figures as cause, and nothing changes."""
    budget(api, disruptionsAllowed=0, currentHealthy=2)
    before = api.store.revision
    with pytest.raises(TooManyRequests) as caught:
        api.evict("web")
    assert api.store.revision == before
    document = caught.value.status()
    assert (document["code"], document["reason"]) == (429, "TooManyRequests")
    assert document["message"] == REFUSED
    said = "The disruption budget web needs 2 healthy pods and has 2 currently"
    assert document["details"] == {"causes": [{"reason": "DisruptionBudget", "message": said}]}


def test_a_budget_that_was_not_looked_at_asks_to_come_again(
    api: KubeAPI, pod: dict[str, Any]
) -> None:
    """Its controller has not seen the newest generation: in ten seconds."""
    budget(api, observedGeneration=0)
    with pytest.raises(TooManyRequests) as caught:
        api.evict("web")
    assert caught.value.retry_after_seconds == 10
    said = "The disruption budget web is still being processed by the server."
    assert caught.value.causes[0].message == said
    assert not is_leaving(api)


def test_two_budgets_are_one_too_many(api: KubeAPI, pod: dict[str, Any]) -> None:
    """500, with upstream's words."""
    budget(api)
    budget(api, "other", spec={"selector": {}})
    with pytest.raises(StatusError) as caught:
        api.evict("web")
    assert caught.value.code == 500
    assert caught.value.message == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
        "support."
    )
    assert not is_leaving(api)


@pytest.mark.parametrize(
    "selector", [None, {"matchLabels": {"app": "db"}}, {"matchLabels": {"app": "web", "x": "y"}}]
)
def test_without_a_budget_the_pod_just_goes(
    api: KubeAPI, pod: dict[str, Any], selector: Any
) -> None:
    """A selector that is missing matches nothing; budgets of other pods do not matter."""
    budget(api, spec={"selector": selector}, disruptionsAllowed=0)
    api.evict("web")
    assert is_leaving(api)


def test_an_empty_selector_matches_the_whole_namespace(api: KubeAPI, pod: dict[str, Any]) -> None:
    """And no other namespace."""
    budget(api, spec={"selector": {}}, disruptionsAllowed=0)
    with pytest.raises(TooManyRequests):
        api.evict("web")
    api.create({"kind": "Namespace", "metadata": {"name": "other"}})
    made = api.get("Pod", "web")
    metadata = {"name": "web", "namespace": "other", "labels": {"app": "web"}}
    api.create({"kind": "Pod", "metadata": metadata, "spec": made["spec"]})
    api.evict("web", "other")
    assert not is_leaving(api)


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_who_serves_nobody_needs_no_permission(api: KubeAPI, phase: str) -> None:
    """The budget is not even asked."""
    make_pod(api, phase=phase)
    budget(api, disruptionsAllowed=0)
    api.evict("web")
    assert is_leaving(api)
    assert status_of(api).get("disruptedPods") is None


def test_a_pod_on_its_way_out_may_be_hurried(api: KubeAPI, pod: dict[str, Any]) -> None:
    """An eviction of a terminating pod shortens its grace, and asks no budget."""
    budget(api, disruptionsAllowed=0)
    api.delete("Pod", "web")
    api.evict("web", grace_period_seconds=5)
    assert api.get("Pod", "web")["metadata"]["deletionGracePeriodSeconds"] == 5


@pytest.mark.parametrize(
    ("healthy", "desired", "policy", "goes"),
    [
        (2, 2, None, True),
        (3, 2, "IfHealthyBudget", True),
        (1, 2, None, False),
        (1, 2, "IfHealthyBudget", False),
        (1, 2, "AlwaysAllow", True),
        (0, 0, None, False),
    ],
)
def test_a_pod_that_is_not_ready(
    api: KubeAPI, healthy: int, desired: int, policy: str | None, goes: bool
) -> None:
    """It goes without touching the budget if the others suffice, or if the budget says so."""
    make_pod(api, conditions=[{"type": "Ready", "status": "False"}])
    spec = {"unhealthyPodEvictionPolicy": policy}
    counts = {"currentHealthy": healthy, "desiredHealthy": desired, "disruptionsAllowed": 0}
    budget(api, spec=spec, **counts)
    if goes:
        api.evict("web")
        assert status_of(api).get("disruptedPods") is None
    else:
        with pytest.raises(TooManyRequests):
            api.evict("web")
    assert is_leaving(api) is goes


def test_a_dry_run_asks_and_changes_nothing(api: KubeAPI, pod: dict[str, Any]) -> None:
    """Neither pod nor budget; a refusal is a refusal."""
    budget(api)
    before = api.store.revision
    assert api.evict("web", dry_run=True)["status"] == "Success"
    assert api.store.revision == before
    api.update_status(
        {**api.get("PodDisruptionBudget", "web"), "status": {"observedGeneration": 1}}
    )
    with pytest.raises(TooManyRequests):
        api.evict("web", dry_run=True)


def test_preconditions_come_before_the_budget(api: KubeAPI, pod: dict[str, Any]) -> None:
    """Another uid or revision is a Conflict, and costs the budget nothing."""
    budget(api)
    for options in ({"uid": "other"}, {"resource_version": "1"}):
        with pytest.raises(Conflict):
            api.evict("web", **options)
    assert status_of(api)["disruptionsAllowed"] == 1
    metadata = api.get("Pod", "web")["metadata"]
    api.evict("web", uid=metadata["uid"], resource_version=metadata["resourceVersion"])
    assert is_leaving(api)


def test_bad_requests(api: KubeAPI, pod: dict[str, Any]) -> None:
    """No such pod; a grace that is no number."""
    with pytest.raises(NotFound, match='pods "nobody" not found'):
        api.evict("nobody")
    with pytest.raises(BadRequest):
        api.evict("web", grace_period_seconds="soon")  # type: ignore[arg-type]


def test_no_grace_removes_the_pod_at_once(api: KubeAPI, pod: dict[str, Any]) -> None:
    """As a deletion with a grace of 0 does."""
    api.evict("web", grace_period_seconds=0)
    assert api.peek("Pod", "web") is None


def test_evictions_that_nobody_confirms_pile_up_to_a_limit(
    api: KubeAPI, pod: dict[str, Any]
) -> None:
    """Above it the budget lets nobody go."""
    listed = {f"pod-{n}": "2025-01-01T00:00:00Z" for n in range(MAX_DISRUPTED_PODS + 1)}
    budget(api, disruptedPods=listed)
    with pytest.raises(Forbidden) as caught:
        api.evict("web")
    assert caught.value.message == (
        'poddisruptionbudget.policy "web" is forbidden: DisruptedPods map too big - too many '
        "evictions not confirmed by PDB controller"
    )


@pytest.mark.parametrize(
    ("healthy", "condition", "said"),
    [
        (2, {}, "needs 3 healthy pods and has 2 currently"),
        (3, {}, "needs 3 healthy pods and has 3 currently"),
        (4, {}, "does not allow evicting pods currently"),
        (
            2,
            {"status": "False", "reason": "SyncFailed", "message": "no owner"},
            "does not allow evicting pods currently because it failed sync: no owner",
        ),
        (
            4,
            {"status": "False", "reason": "Other", "message": "m"},
            "does not allow evicting pods currently (Other): m",
        ),
        (4, {"status": "False", "reason": "Other"}, "does not allow evicting pods currently"),
    ],
)
def test_why_a_budget_refuses(healthy: int, condition: Any, said: str) -> None:
    """A failed sync comes first: its figures are not to be trusted."""
    status: dict[str, Any] = {"currentHealthy": healthy, "desiredHealthy": 3}
    if condition:
        status["conditions"] = [{"type": "DisruptionAllowed", **condition}]
    document = {"metadata": {"name": "b", "generation": 1}, "status": status}
    assert why_refused(document) == f"The disruption budget b {said}"


def test_whoever_comes_in_between_is_noticed(api: KubeAPI) -> None:
    """The pod becomes ready between the look and the deletion: it is guarded then."""
    make_pod(api, conditions=[{"type": "Ready", "status": "False"}])
    budget(api, disruptionsAllowed=0, currentHealthy=2)
    budgets = api.evictions.budgets_of
    calls = []

    def slow(found: Any) -> Any:
        calls.append(1)
        listed = budgets(found)
        if len(calls) == 1:
            set_status(api, "web", conditions=[{"type": "Ready", "status": "True"}])
        return listed

    api.evictions.budgets_of = slow  # type: ignore[method-assign]
    with pytest.raises(TooManyRequests):
        api.evict("web")
    assert len(calls) == 2
    assert not is_leaving(api)


def test_two_evictions_never_take_the_same_one(api: KubeAPI, pod: dict[str, Any]) -> None:
    """The budget changes between the look and the decrement: it is looked at again."""
    make_pod(api, "web-2")
    budget(api)
    budgets = api.evictions.budgets_of
    calls = []

    def slow(found: Any) -> Any:
        calls.append(1)
        listed = budgets(found)
        if len(calls) == 1:
            api.evict("web-2")
        return listed

    api.evictions.budgets_of = slow  # type: ignore[method-assign]
    with pytest.raises(TooManyRequests):
        api.evict("web")
    assert is_leaving(api, "web-2")
    assert not is_leaving(api, "web")
    assert list(status_of(api)["disruptedPods"]) == ["web-2"]
