"""The scenarios of the controller contract: one row for each controller.

A row creates objects, changes them, and says what must hold at every moment and in the end. The
outcome leaves out what may differ from run to run: random names, times, resource versions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubesim import Cluster
from kubesim.apiserver.bootstrap import ROOT_CA_DATA
from kubesim.client import Controller
from kubesim.controllers import (
    AttachDetachController,
    ClusterRoleAggregationController,
    CronJobController,
    DaemonSetController,
    DeploymentController,
    DisruptionController,
    EndpointsController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    EphemeralVolumeController,
    GarbageCollector,
    JobController,
    NamespaceController,
    NodeLifecycleController,
    PersistentVolumeController,
    PodGarbageCollector,
    ReplicaSetController,
    ReplicationManager,
    ResourceQuotaController,
    RootCAPublisher,
    ServiceAccountController,
    StatefulSetController,
    TaintEvictionController,
    TokensController,
    VolumeAttacher,
    VolumeProtectionController,
    VolumeProvisioner,
)
from kubesim.objects import meta
from kubesim.objects.pods import is_finished, is_ready, node_of
from kubesim.objects.wellknown import ACCOUNT_NAME, ROOT_CA, TOKEN_SECRET

LABELS = {"app": "web"}
BY_CONTROLLER = "endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io"
NEW_IMAGE = "kubesim/pod:2"
NOT_LABELLED = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "without", "operator": "DoesNotExist"}]}
            ]
        }
    }
}
TAINT = {"key": "maintenance", "effect": "NoExecute"}


@dataclass(frozen=True)
class Scenario:
    """One controller and a world for it.

    Attributes:
        controller: the class under test.
        create: creates the objects.
        changes: change them, one after the other, each once the world has settled.
        outcome: what the world must be in the end, comparable between runs.
        keys: the keys to reconcile once more.
        invariant: raises AssertionError if something is wrong at any moment.
        settle_seconds: simulated time after which the world stands still.
    """

    controller: type[Controller]
    create: Callable[[Cluster], object]
    changes: Sequence[Callable[[Cluster], object]]
    outcome: Callable[[Cluster], object]
    keys: Sequence[str]
    invariant: Callable[[Cluster], object] = lambda cluster: None
    settle_seconds: float = 30.0

    @property
    def id(self) -> str:
        """The controller's name."""
        return self.controller.name


# -- documents -------------------------------------------------------------------------------------


def template(image: str = "kubesim/pod", **spec: Any) -> dict[str, Any]:
    """A pod template with the label ``app=web``."""
    return {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "main", "image": image}], **spec},
    }


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    """A workload called ``web`` that selects ``app=web``."""
    spec = {"selector": {"matchLabels": LABELS}, "template": template(), **spec}
    return {"kind": kind, "metadata": {"name": "web"}, "spec": spec}


def job_spec(run_seconds: int, **spec: Any) -> dict[str, Any]:
    """The spec of a Job whose pods run for some seconds."""
    pods = template(restartPolicy="Never")
    pods["metadata"]["annotations"] = {"kubesim.dev/run-seconds": str(run_seconds)}
    return {"template": pods, **spec}


def token_secret(name: str, account: str) -> dict[str, Any]:
    """A Secret that asks for a token of an account."""
    metadata = {"name": name, "annotations": {ACCOUNT_NAME: account}}
    return {"kind": "Secret", "type": TOKEN_SECRET, "metadata": metadata}


AGGREGATION = {"clusterRoleSelectors": [{"matchLabels": LABELS}]}


def cluster_role(name: str, verbs: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
    """A ClusterRole with the label ``app=web`` if it has rules of its own."""
    rules = [{"verbs": list(verbs), "apiGroups": [""], "resources": ["pods"]}] if verbs else None
    metadata = {"name": name, "labels": LABELS if verbs else {}}
    return {"kind": "ClusterRole", "metadata": metadata, "rules": rules, **fields}


def owned_config_map(cluster: Cluster, name: str, owner: dict[str, Any] | None = None) -> Any:
    """A ConfigMap, with an owner if one is given."""
    metadata: dict[str, Any] = {"name": name}
    if owner is not None:
        metadata["ownerReferences"] = [meta.owner_reference(owner)]
    return cluster.api.create({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata})


# -- reading ---------------------------------------------------------------------------------------


def pods(cluster: Cluster) -> list[Any]:
    """Pods of the default namespace that are neither finished nor terminating."""
    return [
        pod
        for pod in cluster.api.snapshot("Pod", "default")[0]
        if not meta.is_terminating(pod) and not is_finished(pod)
    ]


def status(cluster: Cluster, kind: str, *fields: str, name: str = "web") -> tuple[Any, ...]:
    """Fields of an object's status."""
    result = cluster.api.get(kind, name).get("status") or {}
    return tuple(result.get(field) for field in fields)


def images(cluster: Cluster) -> Counter[str]:
    """How many pods run each image."""
    return Counter(pod["spec"]["containers"][0]["image"] for pod in pods(cluster))


def addresses(cluster: Cluster) -> list[str]:
    """The addresses of the Endpoints ``web``."""
    endpoints = cluster.api.get("Endpoints", "web")
    return sorted(
        address["ip"] for subset in endpoints["subsets"] for address in subset["addresses"]
    )


def ready_addresses(cluster: Cluster) -> list[str]:
    """The addresses of the ready pods."""
    return sorted(pod["status"]["podIP"] for pod in pods(cluster) if is_ready(pod))


def by_hand(*ips: str) -> dict[str, Any]:
    """Endpoints ``db`` with these addresses."""
    subsets = [{"addresses": [{"ip": ip} for ip in ips], "ports": [{"port": 1}]}]
    return {"kind": "Endpoints", "metadata": {"name": "db"}, "subsets": subsets}


def mirrored(cluster: Cluster) -> list[tuple[str, list[str]]]:
    """Family and addresses of each slice of the Service ``db``."""
    slices = cluster.api.list("EndpointSlice", label_selector="kubernetes.io/service-name=db")
    return sorted(
        (each["addressType"], [endpoint["addresses"][0] for endpoint in each["endpoints"]])
        for each in slices["items"]
    )


def at_most(count: int) -> Callable[[Cluster], None]:
    """No more pods than that."""

    def check(cluster: Cluster) -> None:
        assert len(pods(cluster)) <= count

    return check


def scale(kind: str, replicas: int) -> Callable[[Cluster], object]:
    """Write the scale of the workload."""
    return lambda cluster: cluster.api.update_scale(kind, "web", replicas=replicas)


def label_node(cluster: Cluster) -> object:
    """Make node-3 ineligible for the DaemonSet."""
    return cluster.api.patch("Node", "node-3", {"metadata": {"labels": {"without": "daemon"}}})


def set_image(kind: str) -> Callable[[Cluster], object]:
    """Change the template of the workload."""
    containers = [{"name": "main", "image": NEW_IMAGE}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    return lambda cluster: cluster.api.patch(kind, "web", patch)


def create(*documents: dict[str, Any]) -> Callable[[Cluster], None]:
    """Create objects."""

    def run(cluster: Cluster) -> None:
        for document in documents:
            cluster.api.create(document)

    return run


# -- checks and outcomes ---------------------------------------------------------------------------


def one_daemon_a_node(cluster: Cluster) -> None:
    """Never two pods for one node."""
    nodes = [node_of(pod) for pod in pods(cluster) if node_of(pod)]
    assert len(nodes) == len(set(nodes))


def surge_is_kept(cluster: Cluster) -> None:
    """Never more replicas wanted than replicas + maxSurge."""
    sets = cluster.api.snapshot("ReplicaSet")[0]
    assert sum(rs["spec"]["replicas"] for rs in sets) <= 5


def endpoints(cluster: Cluster) -> list[str]:
    """Names of the pods in all slices."""
    slices = cluster.api.list("EndpointSlice", label_selector=BY_CONTROLLER)["items"]
    return [e["targetRef"]["name"] for result in slices for e in result.get("endpoints") or ()]


def no_endpoint_twice(cluster: Cluster) -> None:
    """No pod is in two slices."""
    assert len(endpoints(cluster)) == len(set(endpoints(cluster)))


def endpoints_match(cluster: Cluster) -> tuple[int, bool]:
    """How many endpoints there are, and whether they are the ready pods."""
    ready = {meta.name_of(pod) for pod in pods(cluster) if is_ready(pod)}
    return len(ready), set(endpoints(cluster)) == ready


def every_minute_has_its_job(cluster: Cluster) -> tuple[bool, int]:
    """(whether there are Jobs, how many minutes between the first and the last have none)."""
    minutes = sorted(
        int(meta.name_of(job).rpartition("-")[2]) for job in cluster.api.snapshot("Job")[0]
    )
    return len(minutes) > 1, minutes[-1] - minutes[0] + 1 - len(minutes)


def node_health(cluster: Cluster) -> list[tuple[str, set[str]]]:
    """The Ready status and the taints of each node."""
    result = []
    for node in cluster.api.snapshot("Node")[0]:
        (ready,) = [c for c in node["status"]["conditions"] if c["type"] == "Ready"]
        taints = {f"{t['key']}:{t['effect']}" for t in node["spec"].get("taints") or ()}
        result.append((ready["status"], taints))
    return result


def names(kind: str, namespace: str = "default") -> Callable[[Cluster], list[str]]:
    """Sorted names of all objects of a kind."""
    return lambda cluster: sorted(map(meta.name_of, cluster.api.snapshot(kind, namespace)[0]))


def a_family(cluster: Cluster) -> None:
    """A ConfigMap with dependents and their dependents, and one that stands alone."""
    root = owned_config_map(cluster, "root")
    for number in range(3):
        child = owned_config_map(cluster, f"child-{number}", root)
        owned_config_map(cluster, f"grandchild-{number}", child)
    owned_config_map(cluster, "alone")


def tolerating(name: str, *tolerations: dict[str, Any]) -> dict[str, Any]:
    """A pod on node-1."""
    document = template(nodeName="node-1", tolerations=list(tolerations))
    return {"kind": "Pod", "metadata": {"name": name}, "spec": document["spec"]}


BUDGET = {
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "web"},
    "spec": {"minAvailable": 2, "selector": {"matchLabels": LABELS}},
}
SERVICE = {
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": LABELS, "ports": [{"port": 80}]},
}
QUOTA = {"kind": "ResourceQuota", "metadata": {"name": "web"}, "spec": {"hard": {"pods": "9"}}}
ROLLING = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def a_claim(name: str, **spec: Any) -> dict[str, Any]:
    """A claim of 1Gi."""
    resources = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": resources, **spec}
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def a_volume(name: str, size: str) -> dict[str, Any]:
    """A host path without a class."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": size},
        "hostPath": {"path": f"/mnt/{name}"},
    }
    return {"kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def phases_of(kind: str) -> Callable[[Cluster], list[str]]:
    """Sorted phases of all objects of a kind."""
    return lambda cluster: sorted(o["status"]["phase"] for o in cluster.api.snapshot(kind)[0])


def no_volume_twice(cluster: Cluster) -> None:
    """No two claims have one volume."""
    claims = cluster.api.snapshot("PersistentVolumeClaim")[0]
    volumes = [c["spec"]["volumeName"] for c in claims if c["spec"].get("volumeName")]
    assert len(volumes) == len(set(volumes))


def claim_user(cluster: Cluster) -> None:
    """A pod on node-1 with a claim."""
    document = template(nodeName="node-1")
    document["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "a"}}]
    cluster.api.create(a_claim("a"))
    cluster.api.create({"kind": "Pod", "metadata": {"name": "user"}, "spec": document["spec"]})


def with_scratch(name: str) -> dict[str, Any]:
    """A pod with an ephemeral volume."""
    claim = {"metadata": {"labels": LABELS}, "spec": a_claim("")["spec"]}
    volume = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": claim}}
    spec = {**template()["spec"], "volumes": [volume]}
    return {"kind": "Pod", "metadata": {"name": name}, "spec": spec}


def grow(cluster: Cluster) -> object:
    """Ask for twice the size."""
    size = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    return cluster.api.patch("PersistentVolumeClaim", "a", size)


def delete_claim(name: str) -> Callable[[Cluster], object]:
    """Delete a claim."""
    return lambda cluster: cluster.api.delete("PersistentVolumeClaim", name)


def disk_user(node: str) -> dict[str, Any]:
    """A pod on a node that uses the claim `a`."""
    user = {"name": "data", "persistentVolumeClaim": {"claimName": "a"}}
    spec = {**template()["spec"], "nodeName": node, "volumes": [user]}
    return {"kind": "Pod", "metadata": {"name": f"on-{node}"}, "spec": spec}


def attachments(cluster: Cluster) -> object:
    """Where the disk is, as the attachments and the nodes say, and what runs."""
    listed = [
        (each["spec"]["nodeName"], each["status"])
        for each in cluster.api.snapshot("VolumeAttachment")[0]
    ]
    nodes = [
        meta.name_of(node)
        for node in cluster.api.snapshot("Node")[0]
        if node["status"].get("volumesAttached")
    ]
    return listed, nodes, [(meta.name_of(p), p["status"]["phase"]) for p in pods(cluster)]


def one_node_has_the_disk(cluster: Cluster) -> None:
    """At no moment two."""
    assert len(cluster.api.snapshot("VolumeAttachment")[0]) <= 1


SCENARIOS = (
    Scenario(
        PersistentVolumeController,
        create(
            *(a_volume(f"disk-{n}", f"{n}Gi") for n in (1, 2, 3)),
            *(a_claim(name, storageClassName="") for name in "ab"),
        ),
        (delete_claim("a"), create(a_claim("c", storageClassName=""))),
        lambda cluster: (
            phases_of("PersistentVolumeClaim")(cluster),
            phases_of("PersistentVolume")(cluster),
        ),
        ["claim/default/b", "volume/disk-1", "volume/none", "claim/default/none"],
        no_volume_twice,
    ),
    Scenario(
        VolumeProtectionController,
        claim_user,
        (
            delete_claim("a"),
            lambda cluster: cluster.api.delete("Pod", "user", grace_period_seconds=0),
        ),
        lambda cluster: (names("PersistentVolumeClaim")(cluster), names("Pod")(cluster)),
        ["claim/default/a", "volume/none"],
    ),
    Scenario(
        EphemeralVolumeController,
        create(with_scratch("a"), with_scratch("b")),
        (create(with_scratch("c")), lambda cluster: cluster.api.delete("Pod", "a")),
        lambda cluster: (names("PersistentVolumeClaim")(cluster), names("Pod")(cluster)),
        ["default/b", "default/none"],
        settle_seconds=60.0,
    ),
    Scenario(
        AttachDetachController,
        create(a_claim("a"), disk_user("node-1")),
        (create(disk_user("node-2")), lambda cluster: cluster.api.delete("Pod", "on-node-1")),
        attachments,
        ["none"],
        one_node_has_the_disk,
        45.0,
    ),
    Scenario(
        VolumeAttacher,
        create(a_claim("a"), disk_user("node-1")),
        (lambda cluster: cluster.api.delete("Pod", "on-node-1"), create(disk_user("node-2"))),
        attachments,
        ["none"],
        one_node_has_the_disk,
        45.0,
    ),
    Scenario(
        VolumeProvisioner,
        create(a_claim("a"), a_claim("b")),
        (grow, delete_claim("b")),
        lambda cluster: [
            (volume["spec"]["capacity"], volume["status"]["phase"])
            for volume in cluster.api.snapshot("PersistentVolume")[0]
        ],
        ["default/a", "default/none", "/none"],
        no_volume_twice,
    ),
    Scenario(
        StatefulSetController,
        create(workload("StatefulSet", replicas=3, serviceName="web")),
        (scale("StatefulSet", 4), scale("StatefulSet", 2)),
        lambda cluster: (
            names("Pod")(cluster),
            status(cluster, "StatefulSet", "replicas", "availableReplicas"),
        ),
        ["default/web"],
        at_most(4),
        60.0,
    ),
    Scenario(
        ReplicaSetController,
        create(workload("ReplicaSet", replicas=3)),
        (scale("ReplicaSet", 5), scale("ReplicaSet", 2)),
        lambda cluster: (
            len(pods(cluster)),
            status(cluster, "ReplicaSet", "replicas", "readyReplicas", "availableReplicas"),
        ),
        ["default/web"],
        at_most(5),
    ),
    Scenario(
        ReplicationManager,
        create(
            {
                "kind": "ReplicationController",
                "metadata": {"name": "web"},
                "spec": {"replicas": 3, "template": template()},
            }
        ),
        (scale("ReplicationController", 5), scale("ReplicationController", 2)),
        lambda cluster: (
            len(pods(cluster)),
            status(cluster, "ReplicationController", "replicas", "readyReplicas"),
        ),
        ["default/web"],
        at_most(5),
    ),
    Scenario(
        DeploymentController,
        create(workload("Deployment", replicas=4, strategy=ROLLING)),
        (set_image("Deployment"), scale("Deployment", 3)),
        lambda cluster: (
            images(cluster),
            status(cluster, "Deployment", "replicas", "updatedReplicas", "availableReplicas"),
        ),
        ["default/web"],
        surge_is_kept,
        60.0,
    ),
    Scenario(
        DaemonSetController,
        create(workload("DaemonSet", template=template(affinity=NOT_LABELLED))),
        (set_image("DaemonSet"), label_node),
        lambda cluster: (
            images(cluster),
            status(cluster, "DaemonSet", "desiredNumberScheduled", "numberAvailable"),
        ),
        ["default/web"],
        one_daemon_a_node,
        60.0,
    ),
    Scenario(
        JobController,
        create(
            {
                "kind": "Job",
                "metadata": {"name": "web"},
                "spec": job_spec(2, completions=6, parallelism=2, suspend=True),
            }
        ),
        (lambda cluster: cluster.api.patch("Job", "web", {"spec": {"suspend": False}}),),
        lambda cluster: status(cluster, "Job", "succeeded", "failed", "uncountedTerminatedPods"),
        ["default/web"],
        at_most(2),
        60.0,
    ),
    Scenario(
        CronJobController,
        create(
            {
                "kind": "CronJob",
                "metadata": {"name": "web"},
                "spec": {
                    "schedule": "* * * * *",
                    "suspend": True,
                    "successfulJobsHistoryLimit": 99,
                    "jobTemplate": {"spec": job_spec(5)},
                },
            }
        ),
        (lambda cluster: cluster.api.patch("CronJob", "web", {"spec": {"suspend": False}}),),
        every_minute_has_its_job,
        ["default/web"],
        settle_seconds=150.0,
    ),
    Scenario(
        EndpointSliceController,
        create(SERVICE, workload("ReplicaSet", replicas=4)),
        (scale("ReplicaSet", 2), scale("ReplicaSet", 6)),
        endpoints_match,
        ["default/web"],
        no_endpoint_twice,
    ),
    Scenario(
        EndpointsController,
        create(SERVICE, workload("ReplicaSet", replicas=4)),
        (scale("ReplicaSet", 2), scale("ReplicaSet", 6)),
        lambda cluster: (addresses(cluster) == ready_addresses(cluster), len(addresses(cluster))),
        ["default/web"],
    ),
    Scenario(
        EndpointSliceMirroringController,
        create(
            {"kind": "Service", "metadata": {"name": "db"}, "spec": {"ports": [{"port": 1}]}},
            by_hand("1.2.3.4", "fd00::1"),
        ),
        (
            lambda cluster: cluster.api.update(by_hand("1.2.3.5", "1.2.3.6")),
            lambda cluster: cluster.api.delete("Endpoints", "db"),
            lambda cluster: cluster.api.create(by_hand("1.2.3.7")),
        ),
        mirrored,
        ["default/db"],
    ),
    Scenario(
        DisruptionController,
        create(BUDGET, workload("ReplicaSet", replicas=3)),
        (scale("ReplicaSet", 5), scale("ReplicaSet", 3)),
        lambda cluster: status(
            cluster,
            "PodDisruptionBudget",
            "currentHealthy",
            "desiredHealthy",
            "expectedPods",
            "disruptionsAllowed",
        ),
        ["default/web"],
    ),
    Scenario(
        GarbageCollector,
        a_family,
        (
            lambda cluster: cluster.api.delete("ConfigMap", "child-0"),
            lambda cluster: cluster.api.delete(
                "ConfigMap", "root", propagation_policy="Foreground"
            ),
        ),
        names("ConfigMap"),
        ["ConfigMap/default/child-0", "ConfigMap/default/alone", "ConfigMap/default/none"],
    ),
    Scenario(
        NamespaceController,
        create(
            {"kind": "Namespace", "metadata": {"name": "shop"}},
            {"kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}},
            {
                "kind": "Pod",
                "metadata": {"name": "a", "namespace": "shop"},
                "spec": template()["spec"],
            },
        ),
        (lambda cluster: cluster.api.delete("Namespace", "shop"),),
        lambda cluster: (
            "shop" in names("Namespace", "")(cluster),
            names("ConfigMap", "shop")(cluster),
        ),
        ["shop"],
        settle_seconds=90.0,
    ),
    Scenario(
        NodeLifecycleController,
        lambda cluster: None,
        (lambda cluster: cluster.kubelets[1].stop(),),
        node_health,
        ["monitor", "evict", "taints/node-2"],
        settle_seconds=150.0,
    ),
    Scenario(
        TaintEvictionController,
        create(
            tolerating("now"),
            tolerating("later", {**TAINT, "operator": "Exists", "tolerationSeconds": 20}),
            tolerating("never", {**TAINT, "operator": "Exists"}),
        ),
        (lambda cluster: cluster.api.patch("Node", "node-1", {"spec": {"taints": [TAINT]}}),),
        names("Pod"),
        ["node/node-1", "pod/default/later", "due/default/none"],
        settle_seconds=90.0,
    ),
    Scenario(
        PodGarbageCollector,
        create(tolerating("stays")),
        (
            create(
                {
                    "kind": "Pod",
                    "metadata": {"name": "orphan"},
                    "spec": template(nodeName="ghost")["spec"],
                }
            ),
        ),
        names("Pod"),
        ["collect"],
        settle_seconds=120.0,
    ),
    Scenario(
        ResourceQuotaController,
        create(QUOTA, workload("ReplicaSet", replicas=2)),
        (scale("ReplicaSet", 4), scale("ReplicaSet", 3)),
        lambda cluster: status(cluster, "ResourceQuota", "hard", "used"),
        ["default/web"],
    ),
    Scenario(
        ServiceAccountController,
        create({"kind": "Namespace", "metadata": {"name": "shop"}}),
        (lambda cluster: cluster.api.delete("ServiceAccount", "default", "shop"),),
        lambda cluster: (
            names("ServiceAccount")(cluster),
            names("ServiceAccount", "shop")(cluster),
        ),
        ["default", "shop", "none"],
    ),
    Scenario(
        RootCAPublisher,
        create({"kind": "Namespace", "metadata": {"name": "shop"}}),
        (
            lambda cluster: cluster.api.patch(
                "ConfigMap", ROOT_CA, {"data": {"ca.crt": "x", "other": "y"}}, "shop"
            ),
            lambda cluster: cluster.api.delete("ConfigMap", ROOT_CA),
        ),
        lambda cluster: [
            cluster.api.get("ConfigMap", ROOT_CA, namespace)["data"] == ROOT_CA_DATA
            for namespace in ("default", "shop")
        ],
        ["default", "shop", "none"],
    ),
    Scenario(
        ClusterRoleAggregationController,
        create(
            cluster_role(
                "all", aggregationRule={"clusterRoleSelectors": [{"matchLabels": LABELS}]}
            ),
            cluster_role("part", ["get"]),
        ),
        (
            create(cluster_role("more", ["list"])),
            lambda cluster: cluster.api.delete("ClusterRole", "part"),
        ),
        lambda cluster: cluster.api.get("ClusterRole", "all")["rules"],
        ["all", "part", "none"],
    ),
    Scenario(
        TokensController,
        create(
            {"kind": "ServiceAccount", "metadata": {"name": "robot"}},
            token_secret("filled", "default"),
            token_secret("kept", "robot"),
            token_secret("ghosts", "ghost"),
        ),
        (lambda cluster: cluster.api.delete("ServiceAccount", "robot"),),
        lambda cluster: {
            secret["metadata"]["name"]: sorted(secret["data"])
            for secret in cluster.api.snapshot("Secret", "default")[0]
        },
        ["default/filled", "default/kept", "default/none"],
    ),
)
