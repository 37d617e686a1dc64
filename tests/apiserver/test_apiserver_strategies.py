"""Strategic merge by the strategies of the API types: which lists are keyed, and at what cost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kubesim.apiserver.patch.strategic import strategic_patch
from kubesim.apiserver.patch.strategies import field_named, place_of
from kubesim.apiserver.patch.threeway import strategic


def of_kind(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, **fields}


CASES = [
    (  # the same name is a keyed list in one type and an atomic one in another
        of_kind("v1", "Service", spec={"ports": [{"port": 1, "name": "a"}, {"port": 2}]}),
        {"spec": {"ports": [{"port": 1, "name": "b"}]}},
        {"spec": {"ports": [{"port": 1, "name": "b"}, {"port": 2}]}},
    ),
    (
        of_kind("discovery.k8s.io/v1", "EndpointSlice", ports=[{"port": 1}, {"port": 2}]),
        {"ports": [{"port": 3}]},
        {"ports": [{"port": 3}]},
    ),
    (
        of_kind("autoscaling/v2", "HorizontalPodAutoscaler", spec={"metrics": [{"type": "Pods"}]}),
        {"spec": {"metrics": [{"type": "Resource"}]}},
        {"spec": {"metrics": [{"type": "Resource"}]}},
    ),
    (
        of_kind(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            webhooks=[{"name": "a", "sideEffects": "None"}, {"name": "b"}],
        ),
        {"webhooks": [{"name": "a", "failurePolicy": "Ignore"}]},
        {
            "webhooks": [
                {"name": "a", "sideEffects": "None", "failurePolicy": "Ignore"},
                {"name": "b"},
            ]
        },
    ),
    (  # a selector of budgets is replaced, as a whole
        of_kind("policy/v1", "PodDisruptionBudget", spec={"selector": {"matchLabels": {"a": "b"}}}),
        {"spec": {"selector": {"matchLabels": {"c": "d"}}}},
        {"spec": {"selector": {"matchLabels": {"c": "d"}}}},
    ),
    (  # deep inside a CronJob
        of_kind(
            "batch/v1",
            "CronJob",
            spec={"jobTemplate": {"spec": {"template": {"spec": {"volumes": [{"name": "v"}]}}}}},
        ),
        {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"volumes": [{"name": "w"}]}}}}}},
        {
            "spec": {
                "jobTemplate": {
                    "spec": {"template": {"spec": {"volumes": [{"name": "v"}, {"name": "w"}]}}}
                }
            }
        },
    ),
    (
        of_kind("v1", "Node", spec={"taints": [{"key": "a"}], "podCIDRs": ["10.0.0.0/24"]}),
        {"spec": {"taints": [{"key": "b"}], "podCIDRs": ["10.1.0.0/24"]}},
        {"spec": {"taints": [{"key": "b"}], "podCIDRs": ["10.0.0.0/24", "10.1.0.0/24"]}},
    ),
]


@pytest.mark.parametrize(("document", "patch", "changed"), CASES)
def test_each_list_is_merged_as_its_type_says(
    document: dict[str, Any], patch: dict[str, Any], changed: dict[str, Any]
) -> None:
    """Keyed, joined as a set, or replaced: by the kind of the document."""
    assert strategic_patch(document, patch) == document | changed


def test_a_three_way_patch_names_the_members_to_keep_of_unions() -> None:
    """The strategy of a Deployment, and volumes: what the patch does not name is dropped."""
    kind = {"apiVersion": "apps/v1", "kind": "Deployment"}
    wanted = {**kind, "spec": {"strategy": {"type": "Recreate"}}}
    live = {**kind, "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}}}
    patch = strategic({}, wanted, live)
    assert patch["spec"]["strategy"] == {"type": "Recreate", "$retainKeys": ["type"]}
    # The field of the same name in a Lease is a plain value, and retains nothing.
    assert (
        not place_of({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"})
        .below("spec")
        .below("strategy")
        .retains_keys
    )
    assert field_named("strategy").retains_keys and field_named("volumes").retains_keys


def test_ten_thousand_items_are_merged_in_linear_time() -> None:
    """A second of CPU would be far too much for 10,000 containers, ordered and all."""
    names = [{"name": f"c-{number}"} for number in range(10_000)]
    document = {"containers": [{**item, "image": "old"} for item in names]}
    patch = {
        "containers": [{**item, "image": "new"} for item in names],
        "$setElementOrder/containers": names[::-1],
    }
    started = time.process_time()
    merged = strategic_patch(document, patch)
    assert time.process_time() - started < 1.5
    assert merged["containers"][0] == {"name": "c-9999", "image": "new"}
    assert len(merged["containers"]) == 10_000
