"""Exercises of lesson 2: the API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim import Cluster
from kubesim.apiserver.patching import merge_patch
from kubesim.errors import Conflict
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import parse_label_selector
from lessons.check import Question, Task


class _BusyAPI:
    """An API server at which somebody else is always a moment faster, a few times."""

    def __init__(self, api: Any, interruptions: int) -> None:
        self._api = api
        self.left = interruptions

    def get(self, *arguments: Any) -> Document:
        """As KubeAPI.get."""
        return self._api.get(*arguments)  # type: ignore[no-any-return]

    def update(self, document: Document) -> Document:
        """As KubeAPI.update; a rival may have written since the document was read."""
        if self.left > 0:
            self.left -= 1
            rival = self._api.get("ConfigMap", document["metadata"]["name"])
            rival["data"]["n"] = str(int(rival["data"]["n"]) + 1)
            self._api.update(rival)
        return self._api.update(document)  # type: ignore[no-any-return]


def _check_add_one(add_one: Callable[[Any, str], Any]) -> str | None:
    with Cluster(nodes=0, hpa=False) as cluster:
        counter = {"kind": "ConfigMap", "metadata": {"name": "counter"}, "data": {"n": "0"}}
        cluster.api.create(counter)
        add_one(_BusyAPI(cluster.api, 0), "counter")
        found = cluster.api.get("ConfigMap", "counter")["data"]["n"]
        if found != "1":
            return f"one call left n={found}, not 1"
        add_one(_BusyAPI(cluster.api, 4), "counter")
        found = cluster.api.get("ConfigMap", "counter")["data"]["n"]
        if found != "6":
            return f"with four rivals n must go from 1 to 6, but it is {found}: an update was lost"
        return None


def _good_add_one(api: Any, name: str) -> None:
    while True:
        counter = api.get("ConfigMap", name)
        counter["data"]["n"] = str(int(counter["data"]["n"]) + 1)
        try:
            api.update(counter)
        except Conflict:
            continue
        return


def _gives_up(api: Any, name: str) -> None:
    counter = api.get("ConfigMap", name)
    counter["data"]["n"] = str(int(counter["data"]["n"]) + 1)
    api.update(counter)


def _overwrites(api: Any, name: str) -> None:
    counter = api.get("ConfigMap", name)
    counter["data"]["n"] = str(int(counter["data"]["n"]) + 1)
    del counter["metadata"]["resourceVersion"]
    api.update(counter)


PODS = {
    "web-1": {"app": "web", "tier": "front", "release": "stable"},
    "web-2": {"app": "web", "tier": "front", "release": "canary"},
    "db-1": {"app": "db", "tier": "back", "release": "stable"},
    "job-1": {"app": "job"},
}
WANTED = {"web-1", "db-1"}


def _check_selector(text: str) -> str | None:
    if not isinstance(text, str):
        return "write the selector as text, for example 'app=web'"
    found = {name for name, labels in PODS.items() if parse_label_selector(text).matches(labels)}
    if found == WANTED:
        return None
    return f"it selects {sorted(found)}, wanted are {sorted(WANTED)}"


def _check_patch(patch: Document) -> str | None:
    before = {"metadata": {"labels": {"app": "web", "old": "yes"}}, "spec": {"replicas": 2}}
    after = merge_patch(before, patch)
    if after == {"metadata": {"labels": {"app": "web"}}, "spec": {"replicas": 5}}:
        return None
    return f"it makes {after}"


q1 = Task(
    "2.1",
    "a retry loop that survives conflicts",
    _check_add_one,
    (
        "What get() returns carries metadata.resourceVersion; update() compares it.",
        "from kubesim.errors import Conflict: that is what update() raises if somebody was faster.",
        "Read, change, update; on Conflict begin again with a fresh read.",
    ),
    """from kubesim.errors import Conflict

def add_one(api, name):
    while True:
        counter = api.get("ConfigMap", name)
        counter["data"]["n"] = str(int(counter["data"]["n"]) + 1)
        try:
            api.update(counter)
            return
        except Conflict:
            continue""",
    _good_add_one,
    (_gives_up, _overwrites),
)

q2 = Task(
    "2.2",
    "a label selector",
    _check_selector,
    (
        "web-1 and db-1 have one label value in common that the others lack.",
        "It is the release.",
    ),
    "release=stable",
    "release=stable",
    ("app=web", "tier in (front,back)"),
)

bonus = Task(
    "2.3",
    "a merge patch (bonus)",
    _check_patch,
    ("In a JSON merge patch null (in Python: None) removes a key.",),
    '{"metadata": {"labels": {"old": None}}, "spec": {"replicas": 5}}',
    {"metadata": {"labels": {"old": None}}, "spec": {"replicas": 5}},
    (
        {"spec": {"replicas": 5}},
        {"metadata": {"labels": {"app": "web"}}, "spec": {"replicas": 5}},
    ),
)

questions = (
    Question(
        "update() answers 409 Conflict. What do you do?",
        {
            "a": (
                "send the same document again",
                False,
                "it still carries the old resourceVersion",
            ),
            "b": (
                "read again, change again, send again",
                True,
                "that is what every controller does",
            ),
            "c": (
                "remove resourceVersion and send",
                False,
                "then you overwrite what the other wrote",
            ),
        },
    ),
    Question(
        "Which status tells you that a name is taken?",
        {
            "a": ("404", False, "404: there is no such object"),
            "b": ("409, reason AlreadyExists", True, "the reason tells it from a Conflict"),
            "c": ("422", False, "422 lists the rules that your object breaks"),
        },
    ),
    Question(
        "Who may write a pod's status?",
        {
            "a": ("whoever creates the pod", False, "create and update ignore status"),
            "b": (
                "whoever calls update_status: its kubelet",
                True,
                "spec is the wish, status the fact",
            ),
            "c": ("nobody", False, "then nobody would know that it runs"),
        },
    ),
)
