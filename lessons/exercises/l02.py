"""Exercises of lesson 2: the API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim import Cluster
from kubesim.apiserver.patch.merge import merge_patch
from kubesim.errors import Conflict
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import parse_label_selector
from lessons.check import Endless, Question, Task

PATIENCE = 50  # updates after which a loop is taken for endless


class _BusyAPI:
    """An API server at which somebody else is always a moment faster, a few times."""

    def __init__(self, api: Any, interruptions: int) -> None:
        self._api = api
        self.left = interruptions
        self.met = 0
        self.updates = 0

    def get(self, *arguments: Any) -> Document:
        """As KubeAPI.get."""
        return self._api.get(*arguments)  # type: ignore[no-any-return]

    def update(self, document: Document) -> Document:
        """As KubeAPI.update; a rival may have written since the document was read."""
        self.updates += 1
        if self.updates > PATIENCE:
            raise Endless
        if self.left > 0:
            self.left -= 1
            self.met += 1
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
        rivals = _BusyAPI(cluster.api, 4)
        try:
            add_one(rivals, "counter")
        except Conflict:
            return "a rival was faster, your update met a 409 Conflict, and you gave up: try again"
        except Endless:
            return (
                f"you sent {PATIENCE} updates and each met a 409 Conflict: the document that you "
                "send carries an old resourceVersion; get it again before you send it again"
            )
        found, wanted = cluster.api.get("ConfigMap", "counter")["data"]["n"], 2 + rivals.met
        if found != str(wanted):
            return (
                f"n was 1, you and {rivals.met} rival(s) added one each, so it must be {wanted}, "
                f"but it is {found}: you have overwritten what you had not seen"
            )
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


def _sends_the_same_again(api: Any, name: str) -> None:
    counter = api.get("ConfigMap", name)
    counter["data"]["n"] = str(int(counter["data"]["n"]) + 1)
    while True:
        try:
            api.update(counter)
        except Conflict:
            continue
        return


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
    labels = after.get("metadata", {}).get("labels") if isinstance(after, dict) else None
    if isinstance(labels, dict) and "old" in labels:
        named = isinstance(patch, dict) and "labels" in (patch.get("metadata") or {})
        why = "what a merge patch does not name, it leaves alone" if named else "nothing removes it"
        return f"the label 'old' is still there: {why}"
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
    (_gives_up, _overwrites, _sends_the_same_again),
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
                "read again, change again, send again",
                True,
                "that is what every controller of Kubernetes does",
            ),
            "b": (
                "send the same document again",
                False,
                "it still carries the old resourceVersion, so it is refused again, for ever",
            ),
            "c": (
                "remove resourceVersion and send it",
                False,
                "then nothing is compared, and you overwrite what the other one wrote",
            ),
        },
    ),
    Question(
        "Which answer says that a name is taken?",
        {
            "a": ("404 NotFound", False, "that is the opposite: there is no such object"),
            "b": ("409 AlreadyExists", True, "the code is that of a Conflict, the reason is not"),
            "c": ("422 Invalid", False, "that lists the rules that the object itself breaks"),
        },
    ),
    Question(
        "Who says in which phase a pod is?",
        {
            "a": ("whoever creates it", False, "create and update ignore the status"),
            "b": ("the scheduler", False, "it writes spec.nodeName, once, and nothing else"),
            "c": (
                "its kubelet, through update_status",
                True,
                "spec is the wish, status the fact, and the fact is known on the node",
            ),
        },
    ),
)
