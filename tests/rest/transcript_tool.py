"""Transcripts of real clients: how they are recorded, and how they are played back.

    python tests/rest/transcript_tool.py    records all again, with the clients of this machine

A transcript holds the requests of one client byte for byte, and of each answer what a client looks
at: code, content type, kind, reason, message, warnings. Time stands still meanwhile, so that
nothing changes but what the client changes. uids and resourceVersions differ between two clusters;
those that a client got are replaced by those of the new cluster when it sends them back.
"""

from __future__ import annotations

import base64
import http.client
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kubectl_tool import Kubectl, found

from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request
from kubesim.testing import Lab

FOLDER = Path(__file__).parent / "transcripts"
SENT = ("accept", "content-type", "user-agent")
CHANGING = ("uid", "resourceVersion")
RECORDED = ("1.27", "1.30", "1.33")
Exchange = dict[str, Any]


def lab() -> Lab:
    """The cluster in which transcripts are recorded and played."""
    return Lab(nodes=2, seed=1, hpa=True, settle=30)


def changing(value: Any) -> Iterator[str]:
    """The uids and resourceVersions of an answer, in order."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in CHANGING and isinstance(item, str):
                yield item
            yield from changing(item)
    elif isinstance(value, list):
        for item in value:
            yield from changing(item)


def gist(status: int, content_type: str, warning: str, body: bytes) -> Exchange:
    """Of an answer, what a client looks at."""
    found: Exchange = {"status": status, "type": content_type}
    if warning:
        found["warning"] = warning
    if content_type.startswith("application/json") and body:
        document = json.loads(body)
        for key in ("kind", "reason", "message"):
            if document.get(key):
                found[key] = document[key]
        if document.get("kind") == "Table":
            found["columns"] = [c["name"] for c in document["columnDefinitions"] or ()]
    return found


# -- recording -------------------------------------------------------------------------------------


def recorded(act: Callable[[Lab], None]) -> list[Exchange]:
    """What a client sends while it acts, and what it gets."""
    exchanges: list[Exchange] = []
    with lab() as made:
        dispatch = made.server.dispatch

        def listen(request: Request) -> Response:
            response = dispatch(request)
            path = f"{request.path}?{request.query}" if request.query else request.path
            entry: Exchange = {"method": request.method, "path": path}
            entry["headers"] = {k: v for k, v in request.headers.items() if k in SENT}
            if request.body:
                entry |= _body(request.body)
            warning = response.headers.get("Warning", "")
            if response.stream is None:
                answer = gist(response.status, response.content_type, warning, response.body)
                is_json = response.content_type.startswith("application/json") and response.body
                document = json.loads(response.body) if is_json else None
                entry["answer"], entry["seen"] = answer, list(changing(document))
            else:
                entry["answer"] = {"status": response.status, "type": response.content_type}
                entry["stream"] = True
            exchanges.append(entry)
            return response

        made.server.dispatch = listen  # type: ignore[method-assign]
        act(made)
    return exchanges


def _body(body: bytes) -> Exchange:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


# -- playing ---------------------------------------------------------------------------------------


def play(exchanges: list[Exchange]) -> Iterator[tuple[Exchange, Exchange]]:
    """(what was answered then, what is answered now) for each request."""
    renamed: dict[str, str] = {}
    with lab() as made:
        connection = http.client.HTTPConnection("127.0.0.1", made.server.port, timeout=20)
        for entry in exchanges:
            path, body = entry["path"], entry.get("body")
            for old, new in renamed.items():
                path = path.replace(f"resourceVersion={old}", f"resourceVersion={new}")
                if body is not None:
                    body = body.replace(f'"{old}"', f'"{new}"')
            data = base64.b64decode(entry["base64"]) if "base64" in entry else body
            connection.request(entry["method"], path, data, entry["headers"])
            reply = connection.getresponse()
            kind = reply.headers.get("Content-Type", "")
            if entry.get("stream"):
                reply.close()
                connection.close()
                yield entry, {"status": reply.status, "type": kind}
                continue
            text = reply.read()
            is_json = kind.startswith("application/json") and text
            seen = list(changing(json.loads(text))) if is_json else []
            if len(seen) == len(entry["seen"]):
                renamed.update(zip(entry["seen"], seen, strict=True))
            yield entry, gist(reply.status, kind, reply.headers.get("Warning", ""), text)


# -- what the clients do ---------------------------------------------------------------------------

MANIFEST = json.dumps(
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "nginx"}]},
            },
        },
    }
)
COMMANDS = """
version
api-resources
get pods
get pods -o wide -A --chunk-size=1
get pod auto-pod-0 -o yaml
get nodes --sort-by=.metadata.name
get all
get pod none
describe pod auto-pod-0
describe node node-1
describe hpa auto-pod
apply -f -
apply -f -
diff -f -
create configmap c --from-literal=a=b
create namespace n
create secret generic s --from-literal=a=b
create deployment d --image=nginx
create deployment d --image=nginx
create service clusterip svc --tcp=80:8080
create pdb p --selector=app=web --min-available=1
create quota q --hard=services=9
create job j --image=busybox
autoscale deploy web --max=5 --cpu-percent=60
expose deploy web --port=80
run r --image=nginx
label deploy web tier=front
label deploy web tier=front
annotate deploy web why=because
patch deploy web -p {"spec":{"minReadySeconds":1}}
patch deploy web --type=json -p [{"op":"remove","path":"/spec/minReadySeconds"}]
patch cm c --type=merge -p {"data":{"a":null}}
set image deploy/web main=nginx:2
set env deploy/web A=b
scale deploy web --replicas=3
scale deploy web --current-replicas=3 --replicas=4
rollout history deploy/web
rollout pause deploy/web
rollout resume deploy/web
rollout restart deploy/web
replace -f -
logs auto-pod-0 --tail=2
top pods
top nodes
events
get events
cordon node-1
uncordon node-1
taint node node-1 a=b:NoSchedule
taint node node-1 a-
apply --server-side --force-conflicts -f -
explain pod.spec
auth can-i create pods
auth can-i --list
delete cm c
delete pod none
delete ns default
get --raw /readyz
"""


def kubectl(program: str, version: str) -> Callable[[Lab], None]:
    """All commands with one kubectl."""

    def act(made: Lab) -> None:
        with tempfile.TemporaryDirectory() as home:
            run = Kubectl(program, version, made.url, Path(home))
            for line in COMMANDS.strip().splitlines():
                run(*line.split(" "), stdin=MANIFEST)

    return act


def official(made: Lab) -> None:
    """The official Python client: typed, dynamic, and its errors."""
    from kubernetes.client.exceptions import ApiException
    from kubernetes.dynamic import DynamicClient

    core, apps = made.client(), made.client("AppsV1Api")
    apps.create_namespaced_deployment("default", json.loads(MANIFEST))
    apps.patch_namespaced_deployment("web", "default", {"spec": {"replicas": 3}})
    apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 4}})
    apps.read_namespaced_deployment_status("web", "default")
    core.list_namespaced_pod("default", label_selector="app=auto-pod", limit=1)
    core.read_namespaced_pod_log("auto-pod-0", "default", tail_lines=1)
    core.create_namespaced_config_map("default", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    core.patch_namespaced_config_map("a", "default", [{"op": "remove", "path": "/data/k"}])
    for refused in (
        lambda: core.read_namespaced_pod("none", "default"),
        lambda: core.create_namespaced_config_map("default", {"metadata": {"name": "a"}}),
    ):
        try:
            refused()
        except ApiException as error:
            assert error.status in (404, 409)
    dynamic = DynamicClient(core.api_client)
    dynamic.resources.get(api_version="v1", kind="ConfigMap").get(namespace="default")
    core.delete_namespaced_config_map("a", "default")


def lightkube(made: Lab) -> None:
    """lightkube: pages, patches, deletions."""
    from lightkube import Client, KubeConfig
    from lightkube.resources.core_v1 import ConfigMap

    client = Client(config=KubeConfig.from_file(str(made.kubeconfig())))
    for index in range(3):
        name = {"metadata": {"name": f"m{index}", "namespace": "default"}}
        client.create(ConfigMap.from_dict(name))
    assert len(list(client.list(ConfigMap, namespace="default", chunk_size=2))) == 3
    client.patch(ConfigMap, "m0", {"data": {"k": "v"}}, namespace="default")
    client.replace(client.get(ConfigMap, "m0", namespace="default"))
    client.delete(ConfigMap, "m0", namespace="default")


def record() -> None:
    """Record everything that the clients of this machine can do."""
    acts: dict[str, Callable[[Lab], None]] = {"python": official, "lightkube": lightkube}
    for version, program in found().items():
        if version in RECORDED:
            acts[f"kubectl-{version}"] = kubectl(program, version)
    for name, act in acts.items():
        exchanges = recorded(act)
        lines = ",\n".join(json.dumps(exchange, sort_keys=True) for exchange in exchanges)
        (FOLDER / f"{name}.json").write_text(f"[\n{lines}\n]\n")
        print(name, len(exchanges), file=sys.stderr)


if __name__ == "__main__":
    record()
