"""list: selectors, pages, and the past."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from api_builders import a_config_map, a_pod, labelled, make_api
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest, Expired, Invalid, Timeout


def names(listed: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


@pytest.fixture
def shop(api: KubeAPI) -> KubeAPI:
    """Three pods in two namespaces."""
    api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
    api.create(labelled(a_pod("web-0"), app="web"))
    api.create(labelled(a_pod("db-0"), app="db"))
    api.create(labelled(a_pod("web-0"), app="web"), namespace="shop")
    return api


def test_the_form_of_a_list(shop: KubeAPI) -> None:
    """KIND + List, its revision, and items in order of namespace and name."""
    listed = shop.list("pods")
    assert listed["kind"] == "PodList" and listed["apiVersion"] == "v1"
    assert listed["metadata"] == {"resourceVersion": str(shop.store.revision)}
    assert [item["metadata"]["namespace"] for item in listed["items"]] == [
        "default",
        "default",
        "shop",
    ]
    assert names(listed) == ["db-0", "web-0", "web-0"]
    assert names(shop.list("pods", "shop")) == ["web-0"]
    assert names(shop.list("pods", "sho")) == [], "a namespace is no prefix"
    assert shop.list("sts")["kind"] == "StatefulSetList"
    assert listed["items"][2] == shop.get("Pod", "web-0", "shop")


def test_selectors(shop: KubeAPI) -> None:
    """By label, by field, and both."""
    shop.bind("db-0", "default", "node-1")
    assert names(shop.list("Pod", label_selector="app=web")) == ["web-0", "web-0"]
    assert names(shop.list("Pod", field_selector="metadata.namespace=shop")) == ["web-0"]
    assert names(shop.list("Pod", field_selector="spec.nodeName=node-1")) == ["db-0"]
    selected = shop.list("Pod", label_selector="app", field_selector="spec.nodeName!=node-1")
    assert names(selected) == ["web-0", "web-0"]
    with pytest.raises(BadRequest, match=r"field label not supported: spec.containers"):
        shop.list("Pod", field_selector="spec.containers=1")
    with pytest.raises(BadRequest, match="found '=', expected: ',' or 'end of string'"):
        shop.list("Pod", label_selector="app=web=1")


def test_a_list_of_the_past(api: KubeAPI) -> None:
    """Exactly as of a revision; 0 and None are now; the future is a Timeout."""
    first = int(api.create(a_pod("a"))["metadata"]["resourceVersion"])
    api.create(a_pod("b"))
    api.delete("Pod", "a")
    assert names(api.list("Pod", resource_version=first)) == ["a"]
    assert api.list("Pod", resource_version=str(first))["metadata"]["resourceVersion"] == str(first)
    assert names(api.list("Pod", resource_version="0")) == ["b"]
    with pytest.raises(Timeout, match="Too large resource version: 99, current: 7") as refused:
        api.list("Pod", resource_version=99)
    assert refused.value.code == 504
    assert refused.value.causes[0].reason == "ResourceVersionTooLarge"
    api.store.compact(api.store.revision)
    with pytest.raises(Expired, match="too old") as gone:
        api.list("Pod", resource_version=first)
    assert gone.value.code == 410


@pytest.mark.parametrize("version", ["x", "-1", "1.5", "9" * 30, "٣"])
def test_revisions_are_whole_numbers(api: KubeAPI, version: str) -> None:
    """Refused before the store is asked."""
    with pytest.raises(BadRequest, match="resourceVersion"):
        api.list("Pod", resource_version=version)
    with pytest.raises(BadRequest, match="resourceVersion"):
        api.watch("Pod", resource_version=version)


def test_pages(api: KubeAPI) -> None:
    """continue and remainingItemCount, and neither on the last page."""
    for number in range(5):
        api.create(a_config_map(f"c-{number}"))
    first = api.list("cm", limit=2)
    assert names(first) == ["c-0", "c-1"]
    assert first["metadata"]["remainingItemCount"] == 3
    second = api.list("cm", limit=2, continue_token=first["metadata"]["continue"])
    assert names(second) == ["c-2", "c-3"] and second["metadata"]["remainingItemCount"] == 1
    last = api.list("cm", limit=2, continue_token=second["metadata"]["continue"])
    assert names(last) == ["c-4"]
    assert last["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}
    assert "continue" not in api.list("cm", limit=5)["metadata"]
    assert names(api.list("cm", limit=0)) == names(api.list("cm"))


def test_pages_with_a_selector_are_full(api: KubeAPI) -> None:
    """The limit counts what matches; how many remain is not said, as upstream does not know."""
    for number in range(10):
        api.create(labelled(a_config_map(f"c-{number}"), even=str(number % 2 == 0).lower()))
    first = api.list("cm", label_selector="even=true", limit=3)
    assert names(first) == ["c-0", "c-2", "c-4"]
    assert "remainingItemCount" not in first["metadata"]
    token = first["metadata"]["continue"]
    rest = api.list("cm", label_selector="even=true", limit=3, continue_token=token)
    assert names(rest) == ["c-6", "c-8"] and "continue" not in rest["metadata"]


def test_all_pages_show_one_snapshot(api: KubeAPI) -> None:
    """Writes between the pages are not seen, wherever they fall."""
    for number in range(6):
        api.create(a_config_map(f"c-{number}", v="old"))
    page = api.list("cm", limit=2)
    seen = [*page["items"]]
    while token := page["metadata"].get("continue"):
        api.delete("cm", f"c-{len(seen)}")
        api.update(a_config_map(f"c-{len(seen) + 1}", v="new"))
        api.create(a_config_map(f"c-{len(seen)}5"))
        page = api.list("cm", limit=2, continue_token=token)
        seen += page["items"]
    assert [item["metadata"]["name"] for item in seen] == [f"c-{n}" for n in range(6)]
    assert {item["data"]["v"] for item in seen} == {"old"}


def test_an_old_page_expires() -> None:
    """Once the snapshot is compacted, the next page is refused with 410."""
    api = make_api(history_limit=20)
    for number in range(4):
        api.create(a_config_map(f"c-{number}"))
    token = api.list("cm", limit=2)["metadata"]["continue"]
    for number in range(100):
        api.update(a_config_map("c-0", n=str(number)))
    with pytest.raises(Expired, match="The provided continue parameter is too old"):
        api.list("cm", limit=2, continue_token=token)


def token(**fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "not base64 at all",
        "ü",
        token(),
        token(v="meta.k8s.io/v1", rv="4", start="a\0"),
        token(v="meta.k8s.io/v1", rv=-1, start="a\0"),
        token(v="meta.k8s.io/v1", rv=1 << 70, start="a\0"),
        token(v="meta.k8s.io/v1", rv=4, start="a"),
        token(v="v0", rv=4, start="a\0"),
        base64.urlsafe_b64encode(b"[" * 50_000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_tokens_that_this_server_did_not_make(api: KubeAPI, text: str) -> None:
    """400 in upstream's words."""
    with pytest.raises(BadRequest, match="continue key is not valid"):
        api.list("cm", continue_token=text)


def test_a_token_leads_nowhere_else(api: KubeAPI) -> None:
    """It holds a place within its list; used on another list it can show that list alone."""
    for number in range(3):
        api.create(a_config_map(f"c-{number}"))
    api.create(a_pod("d"))
    made = api.list("cm", limit=1)["metadata"]["continue"]
    assert (
        names(api.list("Pod", continue_token=made)) == ["d"]
        or not api.list("Pod", continue_token=made)["items"]
    )
    with pytest.raises(BadRequest, match="not allowed when using continue"):
        api.list("cm", continue_token=made, resource_version=5)
    with pytest.raises(BadRequest, match="limit"):
        api.list("cm", limit=-1)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["put", "delete", "page"]), st.integers(0, 9)), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.integers(1, 4))
def test_pages_add_up_to_the_list_at_their_revision(
    actions: list[tuple[str, int]], limit: int
) -> None:
    """Whatever is written in between, the pages are the list as it was when the first was read."""
    api = make_api()
    for number in range(5):
        api.create(a_config_map(f"c-{number}"))
    page = api.list("cm", limit=limit)
    whole, seen = api.list("cm")["items"], [*page["items"]]
    for action, number in [*actions, *[("page", 0)] * 10]:
        name = f"c-{number}"
        if action == "put" and api.peek("cm", name) is None:
            api.create(a_config_map(name))
        elif action == "put":
            api.update(a_config_map(name, revision=str(api.store.revision)))
        elif action == "delete" and api.peek("cm", name) is not None:
            api.delete("cm", name)
        elif token := page["metadata"].get("continue"):
            if action == "page":
                page = api.list("cm", limit=limit, continue_token=token)
                seen += page["items"]
    assert seen == whole


def test_a_snapshot_is_what_a_watch_continues_from(api: KubeAPI) -> None:
    """The components' list: frozen objects without copies, and where to watch from."""
    api.create(a_pod("a"))
    pods, revision = api.snapshot("Pod")
    assert pods[0] is api.peek("Pod", "a")
    api.create(a_pod("b"))
    watch = api.watch("Pod", resource_version=revision)
    assert [event.object["metadata"]["name"] for event in watch.poll()] == ["b"]
    assert api.snapshot("Pod", "default")[1] == api.store.revision
    assert api.snapshot("Pod", "shop")[0] == []


def test_not_older_than_is_now_if_now_is_late_enough(api: KubeAPI) -> None:
    """A list that may be newer shows the present; one from the future is refused with 504."""
    first = api.create(a_config_map("a"))["metadata"]["resourceVersion"]
    api.create(a_config_map("b"))
    exact = api.list("cm", resource_version=first)
    assert names(exact) == ["a"]
    newer = api.list("cm", resource_version=first, resource_version_match="NotOlderThan")
    assert names(newer) == ["a", "b"]
    assert newer["metadata"]["resourceVersion"] == str(api.store.revision)
    with pytest.raises(Timeout) as refused:
        api.list("cm", resource_version=99, resource_version_match="NotOlderThan")
    status = refused.value.status()
    assert (status["code"], status["reason"]) == (504, "Timeout")
    assert status["details"]["causes"] == [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]
    with pytest.raises(Invalid) as invalid:
        api.list("cm", resource_version_match="Roughly")
    assert invalid.value.causes[0].field == "resourceVersionMatch"


def test_nodes_are_selected_by_a_flag_that_is_absent(api: KubeAPI) -> None:
    """`kubectl get nodes --field-selector spec.unschedulable=false`, with and without a cordon."""
    for name in ("a", "b", "c"):
        api.create({"kind": "Node", "metadata": {"name": name}})
    api.patch("Node", "b", {"spec": {"unschedulable": True}})
    assert names(api.list("Node", field_selector="spec.unschedulable=false,")) == ["a", "c"]
    assert names(api.list("Node", field_selector="spec.unschedulable=true")) == ["b"]
