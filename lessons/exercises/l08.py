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
from lessons.feedback.answers import a_dict, a_list_of

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
    """A command, and what the right request for it returns."""

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


def _request(port: int, method: str, path: str) -> tuple[int, Document]:
    """Send a request to the server on this machine; return code and document of the answer."""
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


def _check_request(typed: Typed, request: str, port: int) -> str | None:
    method, _, path = request.strip().partition(" ")
    if method != typed.method or not path.startswith("/"):
        return f"{typed.line}: write it as '{typed.method} /path', not {request!r}"
    code, answer = _request(port, method, path)
    if code != 200:
        message = answer.get("message") or answer.get("error")
        return f"{typed.line}: the server answers {request!r} with {code}: {message}"
    if answer.get("kind") != typed.kind:
        return f"{typed.line}: {request!r} returns a {answer.get('kind')}, not a {typed.kind}"
    if _names(answer) != typed.names:
        got = ", ".join(_names(answer))
        return f"{typed.line}: {request!r} returns {got} instead of only {', '.join(typed.names)}"
    return None


def _check_requests(answer: Sequence[str]) -> str | None:
    web = {"kind": "Pod", "spec": {"containers": [{"name": "main", "image": "web:1"}]}}
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.sleep(1)
        cluster.api.create({"kind": "Namespace", "metadata": {"name": "other"}})
        for name, namespace in (("web", "default"), ("elsewhere", "other")):
            metadata = {"name": name, "namespace": namespace}
            cluster.api.create({**web, "metadata": metadata})
        cluster.api.create(SHOP)
        port = cluster.serve().port
        for typed, request in zip(TYPED, answer, strict=True):
            message = _check_request(typed, str(request), port)
            if message is not None:
                return message
    return None


def _check_applied(applied: Document) -> str | None:
    if applied.get("kind") != "Deployment":
        return 'write a dict with "apiVersion", "kind": "Deployment", "metadata" and "spec"'
    with Cluster(nodes=0, hpa=False) as cluster:
        cluster.api.apply(SHOP, field_manager="ann")
        try:
            shop = cluster.api.apply(applied, field_manager="bob")
        except Conflict as refusal:
            fields = ", ".join(str(cause.field) for cause in refusal.causes)
            return f"409 Conflict, because Ann owns {fields}: apply only the fields that you want to set"
        except StatusError as refusal:
            return f"{refusal.code} {refusal.reason}: {refusal.message}"
        if shop["metadata"]["name"] != "shop":
            return f"that is another Deployment, {shop['metadata']['name']!r}"
        if shop["spec"].get("revisionHistoryLimit") != 3:
            return f"revisionHistoryLimit is {shop['spec'].get('revisionHistoryLimit')}, not 3"
        labels = dict(shop["metadata"].get("labels", {}))
        if labels.get("team") != "blue":
            return f"its labels are {labels}; team=blue is missing"
        entry = next(e for e in shop["metadata"]["managedFields"] if e["manager"] == "bob")
        shared = {"f:replicas", "f:selector", "f:template"} & set(entry["fieldsV1"]["f:spec"])
        if shared:
            listed = ", ".join(sorted(name.removeprefix("f:") for name in shared))
            return (
                f"nothing was refused, but now you and Ann both own {listed}: if she changes it, she "
                "gets a conflict; leave out the fields that you do not want to set"
            )
    return None


APPLIED: Document = {
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


def _text(attempt: RequestAttributes) -> str:
    return f"{attempt.verb} {attempt.resource} in namespace {attempt.namespace}"


def _check_rule(rule: Document) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "users.json")
        entry = {"name": "carol", "token": "token-of-carol", "rules": [rule]}
        path.write_text(json.dumps({"users": [entry]}))
        try:
            (carol,) = read_users(path)
        except BadRequest as refusal:
            return f"that is not a valid rule: {refusal.message.partition(' is not a list of users: ')[2]}"
    for attempt in MAY:
        if not carol.may(attempt):
            hint = "; a log is a separate resource, pods/log" if "/" in attempt.resource else ""
            return f"Carol may not {_text(attempt)}{hint}"
    for attempt in MAY_NOT:
        if carol.may(attempt):
            return f"Carol may {_text(attempt)}, which is too much"
    return None


RULE: Document = {
    "verbs": ["get", "list", "watch", "delete"],
    "apiGroups": [""],
    "resources": ["pods", "pods/log"],
    "namespaces": ["default"],
}

q1 = Task(
    "8.1",
    "the requests of kubectl",
    _check_requests,
    (
        "Pods and nodes are in the core group: /api/v1. Every other group is below /apis.",
        "Nodes belong to the whole cluster, so their path has no namespace.",
        "A Deployment is in the group apps: /apis/apps/v1/namespaces/default/deployments/shop.",
    ),
    "[\n" + "".join(f'    "{request}",\n' for request in REQUESTS) + "]",
    list(REQUESTS),
    (
        [REQUESTS[0], "GET /api/v1/namespaces/default/nodes", *REQUESTS[2:]],
        [*REQUESTS[:2], "GET /api/v1/namespaces/default/deployments/shop", REQUESTS[3]],
        ["GET /api/v1/pods", *REQUESTS[1:]],
        [*REQUESTS[:3], "DELETE /api/v1/namespaces/default/pods"],
    ),
    a_list_of(str, len(TYPED), "['GET /version', ...]"),
)

q2 = Task(
    "8.2",
    "share an object with Ann",
    _check_applied,
    (
        "Apply only the fields that you want to set, not the whole object.",
        "apiVersion, kind and the name identify the object; add the label and the one field.",
        'The spec is {"revisionHistoryLimit": 3}, and nothing else.',
    ),
    json.dumps(APPLIED, indent=4),
    APPLIED,
    (
        {**APPLIED, "spec": {**SHOP["spec"], "replicas": 5, "revisionHistoryLimit": 3}},
        {**APPLIED, "spec": {"replicas": 3, "revisionHistoryLimit": 3}},
        {**APPLIED, "metadata": {"name": "shop"}},
    ),
    a_dict('{"apiVersion": ..., "kind": "Deployment", ...}'),
)

bonus = Task(
    "8.3",
    "permissions for Carol (bonus)",
    _check_rule,
    (
        "Reading takes three verbs: get, list and watch.",
        'The core group is the empty string ""; the log of a pod is the resource pods/log.',
    ),
    json.dumps(RULE),
    RULE,
    (
        {**RULE, "verbs": ["*"]},
        {**RULE, "resources": ["pods"]},
        {key: value for key, value in RULE.items() if key != "namespaces"},
    ),
    a_dict('{"verbs": [...], "apiGroups": [...], ...}'),
)

questions = (
    Question(
        "What computes the columns NAME, READY and STATUS of kubectl get pods?",
        {
            "a": ("kubectl", False, "it only requests a table, and aligns the cells"),
            "b": (
                "the API server",
                True,
                "so kubectl can show even a kind that it does not know",
            ),
            "c": ("the kubelet", False, "it writes the pod's status, but not the table"),
        },
    ),
    Question(
        "Bob applies a field that Ann owns, with the same value. What happens?",
        {
            "a": ("409 Conflict", False, "there is no conflict: both set the same value"),
            "b": (
                "Bob alone owns it now",
                False,
                "only force takes a field away from another owner",
            ),
            "c": (
                "both own it",
                True,
                "and if one of them sets another value later, that is a conflict",
            ),
        },
    ),
    Question(
        "The server answers 401. What does that mean?",
        {
            "a": ("it does not know who you are", True, "it does not know the token"),
            "b": (
                "it knows you, but you have no permission",
                False,
                "that is 403, reason Forbidden",
            ),
            "c": ("there is no such object", False, "that is 404, reason NotFound"),
        },
    ),
)
