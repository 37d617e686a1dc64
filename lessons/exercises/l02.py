"""Exercises of lesson 2: the API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.patch.merge import merge_patch
from kubesim.errors import Conflict
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import parse_label_selector
from lessons.check import Endless, Question, Task
from lessons.feedback.answers import a_dict, a_function, a_string

PATIENCE = 50  # after this many updates a loop counts as endless


class CounterAPI(Protocol):
    """The part of the API server that the exercise uses."""

    def get(self, kind: str, name: str) -> Document:
        """Return an object."""

    def update(self, document: Document) -> Document:
        """Write an object whose resourceVersion is the current one."""


AddOne = Callable[[CounterAPI, str], object]


class _BusyAPI:
    """An API server at which another client is a moment faster, a few times."""

    def __init__(self, api: KubeAPI, interruptions: int) -> None:
        self._api = api
        self.left = interruptions
        self.met = 0
        self.updates = 0

    def get(self, kind: str, name: str) -> Document:
        """Return an object, as KubeAPI.get does."""
        return self._api.get(kind, name)

    def update(self, document: Document) -> Document:
        """Write an object; a rival may have written since the document was read."""
        self.updates += 1
        if self.updates > PATIENCE:
            raise Endless
        if self.left > 0:
            self.left -= 1
            self.met += 1
            rival = self._api.get("ConfigMap", document["metadata"]["name"])
            rival["data"]["n"] = str(int(rival["data"]["n"]) + 1)
            self._api.update(rival)
        return self._api.update(document)


def _check_add_one(add_one: AddOne) -> str | None:
    with Cluster(nodes=0, hpa=False) as cluster:
        counter = {"kind": "ConfigMap", "metadata": {"name": "counter"}, "data": {"n": "0"}}
        cluster.api.create(counter)
        add_one(_BusyAPI(cluster.api, 0), "counter")
        value = cluster.api.get("ConfigMap", "counter")["data"]["n"]
        if value != "1":
            return f"one call left n={value}, not 1"
        rivals = _BusyAPI(cluster.api, 4)
        try:
            add_one(rivals, "counter")
        except Conflict:
            return "a rival was faster, your update got a 409 Conflict, and you gave up: retry"
        except Endless:
            return (
                f"you sent {PATIENCE} updates and each one got a 409 Conflict: the document that you "
                "send has an old resourceVersion; get it again before you send it again"
            )
        value, right = cluster.api.get("ConfigMap", "counter")["data"]["n"], 2 + rivals.met
        if value != str(right):
            return (
                f"n was 1, you and {rivals.met} rival(s) added one each, so it must be {right}, "
                f"but it is {value}: you have overwritten a change that you had not seen"
            )
        return None


def _good_add_one(api: CounterAPI, name: str) -> None:
    while True:
        counter = api.get("ConfigMap", name)
        counter["data"]["n"] = str(int(counter["data"]["n"]) + 1)
        try:
            api.update(counter)
        except Conflict:
            continue
        return


def _gives_up(api: CounterAPI, name: str) -> None:
    counter = api.get("ConfigMap", name)
    counter["data"]["n"] = str(int(counter["data"]["n"]) + 1)
    api.update(counter)


def _sends_the_same_again(api: CounterAPI, name: str) -> None:
    counter = api.get("ConfigMap", name)
    counter["data"]["n"] = str(int(counter["data"]["n"]) + 1)
    while True:
        try:
            api.update(counter)
        except Conflict:
            continue
        return


def _overwrites(api: CounterAPI, name: str) -> None:
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
EXPECTED = {"web-1", "db-1"}


def _check_selector(text: str) -> str | None:
    selected = {name for name, labels in PODS.items() if parse_label_selector(text).matches(labels)}
    if selected == EXPECTED:
        return None
    return f"it selects {sorted(selected)} instead of {sorted(EXPECTED)}"


def _check_patch(patch: Document) -> str | None:
    before = {"metadata": {"labels": {"app": "web", "old": "yes"}}, "spec": {"replicas": 2}}
    after = merge_patch(before, patch)
    if after == {"metadata": {"labels": {"app": "web"}}, "spec": {"replicas": 5}}:
        return None
    labels = after.get("metadata", {}).get("labels") if isinstance(after, dict) else None
    if isinstance(labels, dict) and "old" in labels:
        named = isinstance(patch, dict) and "labels" in (patch.get("metadata") or {})
        why = "a merge patch keeps what it does not name" if named else "nothing removes it"
        return f"the label 'old' is still there: {why}"
    return f"the result is {after}"


q1 = Task(
    "2.1",
    "a retry loop that handles conflicts",
    _check_add_one,
    (
        "The document from get() has a metadata.resourceVersion; update() compares it.",
        "from kubesim.errors import Conflict: update() raises it if another client was faster.",
        "Read, change, update; on Conflict start again with a new read.",
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
    (_gives_up, _overwrites, _sends_the_same_again),
    a_function("add_one", "api", "name"),
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
    a_string("'app=web'"),
)

bonus = Task(
    "2.3",
    "a merge patch (bonus)",
    _check_patch,
    ("In a JSON merge patch, null (in Python: None) removes a key.",),
    '{"metadata": {"labels": {"old": None}}, "spec": {"replicas": 5}}',
    {"metadata": {"labels": {"old": None}}, "spec": {"replicas": 5}},
    (
        {"spec": {"replicas": 5}},
        {"metadata": {"labels": {"app": "web"}}, "spec": {"replicas": 5}},
    ),
    a_dict('{"spec": {...}}'),
)

questions = (
    Question(
        "update() answers 409 Conflict. What do you do?",
        {
            "a": (
                "read again, change again, send again",
                True,
                "every controller of Kubernetes does that",
            ),
            "b": (
                "send the same document again",
                False,
                "it still has the old resourceVersion, so it is refused again and again",
            ),
            "c": (
                "remove resourceVersion and send it",
                False,
                "then nothing is compared, and you overwrite the other client's change",
            ),
        },
    ),
    Question(
        "Which answer means that a name is already taken?",
        {
            "a": ("404 NotFound", False, "that is the opposite: there is no such object"),
            "b": (
                "409 AlreadyExists",
                True,
                "it shares the code with a Conflict, but not the reason",
            ),
            "c": ("422 Invalid", False, "it lists the rules that the object itself breaks"),
        },
    ),
    Question(
        "What sets the phase of a pod?",
        {
            "a": ("the client that creates it", False, "create and update ignore the status"),
            "b": ("the scheduler", False, "it binds the pod to a node, and does not set its phase"),
            "c": (
                "its kubelet, through update_status",
                True,
                "spec is the desired state, status the observed state, and the kubelet observes it",
            ),
        },
    ),
)
