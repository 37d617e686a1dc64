"""Every verb of kubectl, against a cluster whose time runs.

Of the versions that this machine has, the oldest, the middle one and the newest are tried; with the
environment variable KUBESIM_ALL_KUBECTL all of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubectl_tool import ALL, Kubectl, found, usual

from kubesim.testing import Lab

VERSIONS = found()
USUAL = usual(VERSIONS)
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: nginx:1.25
        ports: [{containerPort: 80}]
        resources: {requests: {cpu: 100m}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
"""
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not VERSIONS, reason="there is no kubectl in PATH, and none in $KUBECTL"),
]


left_out = pytest.mark.skipif(
    not os.environ.get(ALL), reason=f"{', '.join(USUAL)} do by default: set {ALL}=1 for all"
)


@pytest.fixture(
    params=[pytest.param(name, marks=() if name in USUAL else left_out) for name in VERSIONS]
)
def kubectl(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kubectl]:
    """One of them, and a cluster of two nodes that lives while it is used."""
    with Lab(nodes=2, seed=1) as lab, lab.driven(pace=40):
        yield Kubectl(VERSIONS[request.param], request.param, lab.url, tmp_path)


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        (["1.27", "1.28", "1.29", "1.30", "1.31", "1.33"], ["1.27", "1.30", "1.33"]),
        (["1.9", "1.29", "1.32"], ["1.9", "1.29", "1.32"]),
        (["1.27", "1.33"], ["1.27", "1.33"]),
        (["any"], ["any"]),
        ([], []),
    ],
)
def test_which_versions_are_tried_by_default(versions: list[str], chosen: list[str]) -> None:
    """The oldest, the nearest to 1.30 and the newest, each once."""
    assert usual(versions) == chosen


def test_looking_around(kubectl: Kubectl) -> None:
    """version, cluster-info, api-resources, api-versions, get in its forms, describe, explain."""
    assert "v1.34." in kubectl.ok("version")
    assert kubectl("cluster-info").code == 0
    assert "horizontalpodautoscalers" in kubectl.ok("api-resources")
    assert "autoscaling/v2" in kubectl.ok("api-versions").splitlines()
    table = kubectl.ok("get", "nodes").splitlines()
    assert table[0].split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert table[1].split()[:2] == ["node-1", "Ready"]
    assert "INTERNAL-IP" in kubectl.ok("get", "nodes", "-o", "wide")
    assert kubectl.ok("get", "nodes", "-o", "name") == "node/node-1\nnode/node-2\n"
    jsonpath = "-o=jsonpath={.items[*].metadata.name}"
    assert kubectl.ok("get", "nodes", jsonpath) == "node-1 node-2"
    assert kubectl.ok("get", "nodes", "--sort-by=.metadata.name", "--no-headers").count("\n") == 2
    assert "Allocatable:" in kubectl.ok("describe", "node", "node-1")
    assert "Number of desired pods" in kubectl.ok("explain", "deployment.spec.replicas")
    missing = kubectl("get", "pod", "none")
    assert missing.err == 'Error from server (NotFound): pods "none" not found\n'
    assert kubectl("get", "pod", "none", "--ignore-not-found").code == 0
    assert "doesn't have a resource type" in kubectl("get", "nonsense").err
    assert "No resources found in default namespace." in kubectl("get", "pods").err


def test_a_manifest_from_apply_to_delete(kubectl: Kubectl) -> None:
    """apply, diff, rollout, set, scale, label, patch, edit, replace, undo, delete."""
    assert "deployment.apps/web created" in kubectl.ok("apply", "-f", "-", stdin=MANIFEST)
    again = kubectl.ok("apply", "-f", "-", stdin=MANIFEST)
    assert again == "deployment.apps/web unchanged\nconfigmap/settings unchanged\n"
    assert kubectl("diff", "-f", "-", stdin=MANIFEST).code == 0
    newer = MANIFEST.replace("1.25", "1.26")
    assert "+        image: nginx:1.26" in kubectl("diff", "-f", "-", stdin=newer).out.replace(
        "+      - image", "+        image"
    )
    assert "configured" in kubectl.ok("apply", "-f", "-", stdin=newer)
    assert "successfully rolled out" in kubectl.ok("rollout", "status", "deploy/web")
    assert kubectl.ok("rollout", "history", "deploy/web").split()[-4:] == [
        "1",
        "<none>",
        "2",
        "<none>",
    ]
    assert "image updated" in kubectl.ok("set", "image", "deploy/web", "main=nginx:1.27")
    before = kubectl.ok("rollout", "history", "deploy/web").split("\n")
    assert "rolled back" in kubectl.ok("rollout", "undo", "deploy/web")
    kubectl.ok("rollout", "status", "deploy/web", "--timeout=60s")
    after = kubectl.ok("rollout", "history", "deploy/web").split("\n")
    assert len(after) == len(before), "the old ReplicaSet is found again and renumbered"
    assert "scaled" in kubectl.ok("scale", "deploy/web", "--replicas=3")
    assert "successfully rolled out" in kubectl.ok("rollout", "status", "deploy/web")
    assert kubectl.ok("get", "deploy", "web", "--no-headers").split()[1:4] == ["3/3", "3", "3"]
    assert "labeled" in kubectl.ok("label", "deploy", "web", "tier=front")
    assert "not labeled" in kubectl.ok("label", "deploy", "web", "tier=front")
    assert "patched" in kubectl.ok("patch", "cm", "settings", "-p", '{"data":{"color":"red"}}')
    editor = "sed -i s/red/green/"
    assert "edited" in kubectl.ok("edit", "cm", "settings", KUBE_EDITOR=editor)
    data = kubectl.ok("get", "cm", "settings", "-o", "jsonpath={.data.color}")
    assert data == "green"
    assert "replaced" in kubectl.ok("replace", "-f", "-", stdin=MANIFEST)
    wrong = kubectl("apply", "-f", "-", stdin=MANIFEST.replace("replicas: 2", "replicaz: 2"))
    assert 'unknown field "spec.replicaz"' in wrong.err
    applied = kubectl.ok("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=newer)
    assert "deployment.apps/web serverside-applied" in applied
    gone = kubectl.ok("delete", "-f", "-", stdin=MANIFEST)
    assert gone.count("deleted") == 2


def test_objects_that_kubectl_makes_itself(kubectl: Kubectl) -> None:
    """create TYPE, run, expose, autoscale: protobuf from 1.32 on, JSON before."""
    made = {
        "deployment": ("d", "--image=nginx", "--replicas=2"),
        "namespace": ("n",),
        "configmap": ("c", "--from-literal=a=b"),
        "secret generic": ("s", "--from-literal=a=b"),
        "serviceaccount": ("sa",),
        "quota": ("q", "--hard=services=9"),
        "job": ("j", "--image=busybox"),
        "cronjob": ("cj", "--image=busybox", "--schedule=*/5 * * * *"),
        "pdb": ("p", "--selector=app=d", "--min-available=1"),
        "service clusterip": ("svc", "--tcp=80:8080"),
        "priorityclass": ("pc", "--value=10"),
    }
    for kind, rest in made.items():
        assert "created" in kubectl.ok("create", *kind.split(), *rest), kind
    assert kubectl.ok("get", "secret", "s", "-o", "jsonpath={.data.a}") == "Yg=="
    port = "jsonpath={.spec.ports[0].port}-{.spec.ports[0].targetPort}"
    assert kubectl.ok("get", "svc", "svc", "-o", port) == "80-8080"
    assert kubectl.ok("get", "pdb", "p", "-o", "jsonpath={.spec.minAvailable}") == "1"
    assert "autoscaled" in kubectl.ok("autoscale", "deploy", "d", "--max=5", "--cpu-percent=60")
    hpa = json.loads(kubectl.ok("get", "hpa", "d", "-o", "json"))
    assert hpa["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    assert "exposed" in kubectl.ok("expose", "deploy", "d", "--port=80")
    assert "Selector:" in kubectl.ok("describe", "svc", "d")
    assert "pod/r created" in kubectl.ok("run", "r", "--image=nginx")
    assert "condition met" in kubectl.ok("wait", "--for=condition=Ready", "pod/r", "--timeout=30s")
    assert "Started container" in kubectl.ok("describe", "pod", "r")
    assert "Started container" in kubectl.ok("events", "--for", "pod/r")
    taken = kubectl("create", "deployment", "d", "--image=nginx")
    assert 'deployments.apps "d" already exists' in taken.err
    everything = kubectl.ok("get", "all")
    assert all(word in everything for word in ("pod/r", "deployment.apps/d", "service/svc"))
    assert 'namespace "n" deleted' in kubectl.ok("delete", "ns", "n")


def test_what_goes_on_in_pods(kubectl: Kubectl) -> None:
    """logs in their forms, exec by websocket, top; what has no process is refused readably."""
    kubectl.ok("run", "r", "--image=nginx")
    kubectl.ok("wait", "--for=condition=Ready", "pod/r", "--timeout=30s")
    lines = kubectl.ok("logs", "r", "--tail=1").splitlines()
    assert lines == ["[tick] Pod is running..."]
    assert kubectl.ok("logs", "r", "--tail=1", "--timestamps").startswith("20")
    assert 'pods "none" not found' in kubectl("logs", "none").err
    result = kubectl("exec", "r", "--", "echo", "hi")
    if kubectl.version >= (1, 30):
        assert result.out == "hi\n"
        assert kubectl("exec", "r", "--", "false").code == 1
    else:
        assert "NotImplemented" in result.err
    run = ("run", "e", "-i", "--rm", "--restart=Never", "--image=busybox", "--")
    if kubectl.version >= (1, 30):
        assert "hello\n" in kubectl.ok(*run, "sh", "-c", "echo hello; sleep 20")
        assert kubectl.ok("exec", "-i", "r", "--", "wc", "-l", stdin="a\nb\n") == "2\n"
    else:
        assert "NotImplemented" in kubectl("attach", "r").err
    assert "not supported by the simulator" in kubectl("port-forward", "r", "8080:80").err
    assert "MEMORY(bytes)" in kubectl.ok("top", "pods")
    assert "node-1" in kubectl.ok("top", "nodes")


def test_nodes_are_emptied_and_come_back(kubectl: Kubectl) -> None:
    """cordon, taint, drain, uncordon."""
    kubectl.ok("create", "deployment", "d", "--image=nginx", "--replicas=2")
    kubectl.ok("rollout", "status", "deploy/d")
    assert "cordoned" in kubectl.ok("cordon", "node-1")
    assert "SchedulingDisabled" in kubectl.ok("get", "node", "node-1")
    drained = kubectl.ok("drain", "node-1", "--ignore-daemonsets", "--force", "--timeout=60s")
    assert "node/node-1 drained" in drained
    assert "uncordoned" in kubectl.ok("uncordon", "node-1")
    assert "tainted" in kubectl.ok("taint", "node", "node-1", "a=b:NoSchedule")
    assert "untainted" in kubectl.ok("taint", "node", "node-1", "a-")


def test_who_may_and_raw_requests(kubectl: Kubectl) -> None:
    """auth can-i, whoami; get --raw, create --raw, delete --raw."""
    assert kubectl.ok("auth", "can-i", "create", "pods") == "yes\n"
    assert "Resources" in kubectl.ok("auth", "can-i", "--list")
    if kubectl.version >= (1, 28):
        assert "kubernetes-admin" in kubectl.ok("auth", "whoami")
    assert kubectl.ok("get", "--raw", "/readyz") == "ok"
    path = "/api/v1/namespaces/default/configmaps"
    document = '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"raw"}}'
    made = json.loads(kubectl.ok("create", "--raw", path, "-f", "-", stdin=document))
    assert made["metadata"]["name"] == "raw"
    assert kubectl("delete", "--raw", f"{path}/raw").code == 0


def test_watching_ends_well(kubectl: Kubectl) -> None:
    """get -w prints what is there and what comes, and ends with 0; WatchList where it is known."""
    kubectl.ok("run", "a", "--image=nginx")
    watched = kubectl("get", "pods", "-w", "--request-timeout=2s")
    assert watched.code == 0
    assert watched.out.splitlines()[0].split()[:3] == ["NAME", "READY", "STATUS"]
    assert watched.out.splitlines()[1].split()[0] == "a"
    named = kubectl.ok("get", "pod", "a", "-w", "-o", "name", "--request-timeout=1s")
    assert set(named.split()) == {"pod/a"}
    switch = {"KUBE_FEATURE_WatchListClient": "true"}
    waited = kubectl.ok("wait", "--for=condition=Ready", "pod/a", "--timeout=30s", **switch)
    assert "condition met" in waited


def test_deleting(kubectl: Kubectl) -> None:
    """By name, by label, all, now; a missing one, and a namespace that must stay."""
    for name in ("a", "b", "c"):
        kubectl.ok("run", name, "--image=nginx", "--labels", f"part={name}")
    kubectl.ok("wait", "--for=condition=Ready", "pod", "--all", "--timeout=30s")
    assert 'pod "a" ' in kubectl.ok("delete", "pod", "a")
    assert "deleted" in kubectl.ok("delete", "pod", "-l", "part=b", "--now")
    forced = kubectl("delete", "pod", "c", "--force", "--grace-period=0")
    assert "force deleted" in forced.out
    assert 'pods "c" not found' in kubectl("delete", "pod", "c").err
    assert "this namespace may not be deleted" in kubectl("delete", "ns", "default").err
