"""Exercises of lesson 8: three ways in."""

from __future__ import annotations

import http.client
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kubesim import Cluster
from kubesim.errors import BadRequest, Conflict, StatusError
from kubesim.objects.frozen import Document
from kubesim.rest.users import RequestAttributes, read_users
from lessons.check import Question, Task

PATIENCE_SECONDS = 10.0
SHOP: Document = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "main", "image": "shop:1"}]},
        },
    },
}


class Typed(NamedTuple):
    """A line that somebody types, and what the right request for it would bring."""

    line: str
    method: str
    kind: str
    names: tuple[str, ...]


TYPED = (
    Typed("kubectl get pods", "GET", "PodList", ("web",)),
    Typed("kubectl get nodes", "GET", "NodeList", ("node-1",)),
    Typed("kubectl get deployment shop", "GET", "Deployment", ("shop",)),
    Typed("kubectl delete pod web", "DELETE", "Pod", ("web",)),
)
REQUESTS = (
    "GET /api/v1/namespaces/default/pods",
    "GET /api/v1/nodes",
    "GET /apis/apps/v1/namespaces/default/deployments/shop",
    "DELETE /api/v1/namespaces/default/pods/web",
)


def _ask(port: int, method: str, path: str) -> tuple[int, Document]:
    """One request to the server on this machine: the code and the document of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _names(document: Document) -> tuple[str, ...]:
    items = document.get("items", [document])
    return tuple(item["metadata"]["name"] for item in items)


def _judge(typed: Typed, said: str, port: int) -> str | None:
    method, _, path = said.strip().partition(" ")
    if method != typed.method or not path.startswith("/"):
        return f"{typed.line}: write it as '{typed.method} /path', not {said!r}"
    code, answer = _ask(port, method, path)
    if code != 200:
        said_by_server = answer.get("message") or answer.get("error")
        return f"{typed.line}: the server answers {said!r} with {code}: {said_by_server}"
    if answer.get("kind") != typed.kind:
        return f"{typed.line}: {said!r} brings a {answer.get('kind')}, not a {typed.kind}"
    if _names(answer) != typed.names:
        got = ", ".join(_names(answer))
        return f"{typed.line}: {said!r} brings {got}; wanted is {', '.join(typed.names)} alone"
    return None


def _check_requests(answer: Sequence[str]) -> str | None:
    if not isinstance(answer, (list, tuple)) or len(answer) != len(TYPED):
        return f"write a list of {len(TYPED)} texts, such as 'GET /version'"
    web = {"kind": "Pod", "spec": {"containers": [{"name": "main", "image": "web:1"}]}}
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.sleep(1)
        cluster.api.create({"kind": "Namespace", "metadata": {"name": "other"}})
        for name, namespace in (("web", "default"), ("elsewhere", "other")):
            metadata = {"name": name, "namespace": namespace}
            cluster.api.create({**web, "metadata": metadata})
        cluster.api.create(SHOP)
        port = cluster.serve().port
        for typed, said in zip(TYPED, answer, strict=True):
            message = _judge(typed, str(said), port)
            if message is not None:
                return message
    return None


def _check_wish(wish: Document) -> str | None:
    if not isinstance(wish, dict) or wish.get("kind") != "Deployment":
        return 'write a dict with "apiVersion", "kind": "Deployment", "metadata" and "spec"'
    with Cluster(nodes=0, hpa=False) as cluster:
        cluster.api.apply(SHOP, field_manager="ann")
        try:
            shop = cluster.api.apply(wish, field_manager="bob")
        except Conflict as refusal:
            fields = ", ".join(str(cause.field) for cause in refusal.causes)
            return f"409 Conflict, since Ann owns {fields}: apply only what you want to decide"
        except StatusError as refusal:
            return f"{refusal.code} {refusal.reason}: {refusal.message}"
        if shop["metadata"]["name"] != "shop":
            return f"that is another Deployment, {shop['metadata']['name']!r}"
        if shop["spec"].get("revisionHistoryLimit") != 3:
            return f"revisionHistoryLimit is {shop['spec'].get('revisionHistoryLimit')}, not 3"
        labels = dict(shop["metadata"].get("labels", {}))
        if labels.get("team") != "blue":
            return f"its labels are {labels}; team=blue is missing"
        mine = next(e for e in shop["metadata"]["managedFields"] if e["manager"] == "bob")
        shared = {"f:replicas", "f:selector", "f:template"} & set(mine["fieldsV1"]["f:spec"])
        if shared:
            listed = ", ".join(sorted(name.removeprefix("f:") for name in shared))
            return (
                f"nothing was refused, but now you own {listed}, too, beside Ann: if she changes "
                "it, she meets a conflict with you; leave out what is not yours to decide"
            )
    return None


WISH: Document = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop", "labels": {"team": "blue"}},
    "spec": {"revisionHistoryLimit": 3},
}

MAY = (
    RequestAttributes("list", "", "pods", "default"),
    RequestAttributes("get", "", "pods", "default", "web"),
    RequestAttributes("watch", "", "pods", "default"),
    RequestAttributes("get", "", "pods/log", "default", "web"),
    RequestAttributes("delete", "", "pods", "default", "web"),
)
MAY_NOT = (
    RequestAttributes("create", "", "pods", "default"),
    RequestAttributes("update", "", "pods", "default", "web"),
    RequestAttributes("deletecollection", "", "pods", "default"),
    RequestAttributes("delete", "", "pods", "kube-system", "web"),
    RequestAttributes("list", "", "secrets", "default"),
    RequestAttributes("delete", "apps", "deployments", "default", "shop"),
)


def _said(attempt: RequestAttributes) -> str:
    return f"{attempt.verb} {attempt.resource} in namespace {attempt.namespace}"


def _check_rule(rule: Document) -> str | None:
    if not isinstance(rule, dict):
        return 'write a dict such as {"verbs": [...], "apiGroups": [...], ...}'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "users.json")
        entry = {"name": "carol", "token": "token-of-carol", "rules": [rule]}
        path.write_text(json.dumps({"users": [entry]}))
        try:
            (carol,) = read_users(path)
        except BadRequest as refusal:
            return f"that is no rule: {refusal.message.partition(' is not a list of users: ')[2]}"
    for attempt in MAY:
        if not carol.may(attempt):
            hint = "; a log is a resource of its own, pods/log" if "/" in attempt.resource else ""
            return f"Carol may not {_said(attempt)}{hint}"
    for attempt in MAY_NOT:
        if carol.may(attempt):
            return f"Carol may {_said(attempt)}, which is too much"
    return None


RULE: Document = {
    "verbs": ["get", "list", "watch", "delete"],
    "apiGroups": [""],
    "resources": ["pods", "pods/log"],
    "namespaces": ["default"],
}

q1 = Task(
    "8.1",
    "what kubectl asks for",
    _check_requests,
    (
        "Pods and nodes are of the core group: /api/v1. Every other group is below /apis.",
        "Nodes belong to the whole cluster, so there is no namespace in their path.",
        "A Deployment is of the group apps: /apis/apps/v1/namespaces/default/deployments/shop.",
    ),
    "[\n" + "".join(f'    "{request}",\n' for request in REQUESTS) + "]",
    list(REQUESTS),
    (
        [REQUESTS[0], "GET /api/v1/namespaces/default/nodes", *REQUESTS[2:]],
        [*REQUESTS[:2], "GET /api/v1/namespaces/default/deployments/shop", REQUESTS[3]],
        ["GET /api/v1/pods", *REQUESTS[1:]],
        [*REQUESTS[:3], "DELETE /api/v1/namespaces/default/pods"],
    ),
)

q2 = Task(
    "8.2",
    "a wish beside Ann's",
    _check_wish,
    (
        "To apply is to say what you want to decide, not how the whole object looks.",
        "apiVersion, kind and the name say which object; add the label and the one field.",
        'It ends with "spec": {"revisionHistoryLimit": 3}, and nothing else in spec.',
    ),
    json.dumps(WISH, indent=4),
    WISH,
    (
        {**WISH, "spec": {**SHOP["spec"], "replicas": 5, "revisionHistoryLimit": 3}},
        {**WISH, "spec": {"replicas": 3, "revisionHistoryLimit": 3}},
        {**WISH, "metadata": {"name": "shop"}},
    ),
)

bonus = Task(
    "8.3",
    "rights for Carol (bonus)",
    _check_rule,
    (
        "To look is three verbs: get, list and watch.",
        'The core group is "", the empty text; the log of a pod is the resource pods/log.',
    ),
    json.dumps(RULE),
    RULE,
    (
        {**RULE, "verbs": ["*"]},
        {**RULE, "resources": ["pods"]},
        {key: value for key, value in RULE.items() if key != "namespaces"},
    ),
)

questions = (
    Question(
        "Who makes the columns NAME, READY and STATUS of kubectl get pods?",
        {
            "a": ("kubectl", False, "it only asks for a table, and aligns what it gets"),
            "b": (
                "the API server",
                True,
                "so a kubectl that has never heard of a kind can show it, too",
            ),
            "c": ("the kubelet", False, "it writes the pod's status, but no table"),
        },
    ),
    Question(
        "Bob applies a field that Ann owns, with the same value. What happens?",
        {
            "a": ("409 Conflict", False, "there is no quarrel: both want the same"),
            "b": ("Bob alone owns it now", False, "only force takes a field from another"),
            "c": ("both own it", True, "and whoever wants another value later meets a conflict"),
        },
    ),
    Question(
        "The server answers 401. What does that mean?",
        {
            "a": ("it does not know who you are", True, "the token is missing or wrong"),
            "b": ("it knows you, but you may not", False, "that is 403, reason Forbidden"),
            "c": ("there is no such object", False, "that is 404, reason NotFound"),
        },
    ),
)
