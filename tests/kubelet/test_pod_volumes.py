"""The volumes of pods: what they wait for, and where the files that programs write are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.kubelet.process.volumes import SubPath
from kubesim.kubelet.shell.files import FileError, FileSystem, Volume
from kubesim.kubelet.volumemanager.setup import failed_mounts
from kubesim.kubelet.volumemanager.storage import VolumeStore
from tests.kubelet.kubelet_world import a_pod, container, events, main, status

Document = dict[str, Any]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes, no autoscaler."""
    with Cluster(nodes=2, hpa=False) as made:
        yield made


def claim(name: str = "data", **spec: Any) -> Document:
    """A claim of 1Gi."""
    fields = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {**fields, **spec},
    }


def user_of(
    source: Document, name: str = "p", mount: Document | None = None, **spec: Any
) -> Document:
    """A pod that mounts one volume at /data."""
    mounted = {"name": "data", "mountPath": "/data", **(mount or {})}
    web = container(image="busybox", command=["sleep", "3600"], volumeMounts=[mounted])
    return a_pod(name, web, volumes=[{"name": "data", **source}], **spec)


CLAIM = {"persistentVolumeClaim": {"claimName": "data"}}


def sh(cluster: Cluster, script: str, pod: str = "p") -> str:
    """What a script prints in a pod."""
    result = cluster.api.exec(pod, ["sh", "-c", script])
    return str(result.stdout + result.stderr)


# -- what a volume waits for -----------------------------------------------------------------------


def projected(*sources: Document) -> Document:
    """A pod with one projected volume."""
    return {
        "metadata": {"name": "p"},
        "spec": {
            "serviceAccountName": "build",
            "volumes": [{"name": "all", "projected": {"sources": list(sources)}}],
        },
    }


FAILED = 'MountVolume.SetUp failed for volume "all" : '
OF_MAP: Document = {"configMap": {"name": "m", "items": [{"key": "k", "path": "k"}]}}
OF_SECRET: Document = {"secret": {"name": "s", "items": [{"key": "k", "path": "k"}]}}
TOKEN: Document = {"serviceAccountToken": {"path": "token"}}


@pytest.mark.parametrize(
    ("sources", "existing", "message"),
    [
        ([OF_MAP], {}, 'configmap "m" not found'),
        ([OF_SECRET], {}, 'secret "s" not found'),
        ([OF_MAP], {"m": {}}, "configmap references non-existent config key: k"),
        ([OF_SECRET], {"s": {"j": ""}}, "references non-existent secret key: k"),
        ([OF_MAP, OF_SECRET], {}, '[configmap "m" not found, secret "s" not found]'),
        ([OF_MAP, OF_SECRET], {"m": {"k": "1"}, "s": {"k": "1"}}, ""),
        ([{"configMap": {"name": "m", "optional": True}}], {}, ""),
        ([{"configMap": {**OF_MAP["configMap"], "optional": True}}], {"m": {}}, ""),
        ([TOKEN], {}, 'failed to fetch token: serviceaccounts "build" not found'),
        ([TOKEN], {"build": {}}, ""),
        ([{"downwardAPI": {"items": []}}], {}, ""),
    ],
)
def test_projected_sources(sources: list[Document], existing: Document, message: str) -> None:
    """Each source must exist and have the keys that are listed, unless it is optional."""
    found = {name: {"data": data} for name, data in existing.items()}
    failed = failed_mounts(projected(*sources), lambda _kind, name: found.get(name))
    assert failed == ({"all": FAILED + message} if message else {})


def test_a_pod_waits_for_each_of_its_volumes(cluster: Cluster) -> None:
    """One Event for each volume; after two minutes the one that names all of them."""
    items = [{"key": "k", "path": "k"}]
    volumes = [
        {"name": "b", "projected": {"sources": [{"secret": {"name": "keys"}}]}},
        {"name": "a", "configMap": {"name": "settings", "items": items}},
    ]
    cluster.api.create(a_pod("p", container(), volumes=volumes))
    cluster.sleep(2)
    first = {message for _, reason, message, _ in events(cluster) if reason == "FailedMount"}
    assert first == {
        'MountVolume.SetUp failed for volume "a" : configmap "settings" not found',
        'MountVolume.SetUp failed for volume "b" : secret "keys" not found',
    }
    cluster.api.create({"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {}})
    cluster.sleep(125)
    later = {message for _, reason, message, _ in events(cluster) if reason == "FailedMount"}
    assert later - first == {
        'MountVolume.SetUp failed for volume "a" : configmap references non-existent config key: k',
        "Unable to attach or mount volumes: unmounted volumes=[a b], unattached volumes=[], "
        "failed to process volumes=[]: context deadline exceeded",
    }
    assert status(cluster)["phase"] == "Pending"
    cluster.api.patch("ConfigMap", "settings", {"data": {"k": "1"}})
    cluster.api.create({"kind": "Secret", "metadata": {"name": "keys"}})
    cluster.sleep(125)
    assert status(cluster)["phase"] == "Running"


def test_a_pod_waits_for_the_certificate_of_the_api_server() -> None:
    """The volume kube-api-access-... needs the ConfigMap kube-root-ca.crt of its namespace."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.controller("root-ca-certificate-publisher-controller").crash()
        cluster.api.delete("ConfigMap", "kube-root-ca.crt")
        cluster.api.create(a_pod("p"))
        cluster.sleep(3)
        name = cluster.api.get("Pod", "p")["spec"]["volumes"][0]["name"]
        assert name.startswith("kube-api-access-")
        message = (
            f'MountVolume.SetUp failed for volume "{name}" : configmap "kube-root-ca.crt" not found'
        )
        assert message in [message for _, _, message, _ in events(cluster)]
        certificate = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "x"}}
        cluster.api.create({"kind": "ConfigMap", **certificate})
        cluster.sleep(4)
        assert status(cluster)["phase"] == "Running"


def test_sub_path_expressions(cluster: Cluster) -> None:
    """Expanded from the environment; a missing variable is an error of the container."""
    env = [{"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    mount = {"name": "data", "mountPath": "/data", "subPathExpr": "logs/$(WHO)"}
    for name, variables in (("web", env), ("bare", [])):
        web = container(command=["sleep", "99"], env=variables, volumeMounts=[mount])
        volume = {"name": "data", "hostPath": {"path": "/var"}}
        cluster.api.create(a_pod(name, web, volumes=[volume], nodeName="node-1"))
    cluster.sleep(3)
    waiting = main(cluster, "bare")["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"
    assert waiting["message"] == 'missing value for "WHO"'
    sh(cluster, "echo one > /data/f", "web")
    cluster.api.create(user_of({"hostPath": {"path": "/var"}}, nodeName="node-1"))
    cluster.sleep(3)
    assert sh(cluster, "cat /data/logs/web/f") == "one\n"


# -- where files are kept --------------------------------------------------------------------------


def test_files_of_a_claim_follow_it_to_another_node(cluster: Cluster) -> None:
    """Two pods on two nodes see the same files and directories; they outlive both pods."""
    cluster.api.create(claim())
    cluster.api.create(user_of(CLAIM, "a", nodeName="node-1"))
    cluster.api.create(user_of(CLAIM, "b", nodeName="node-2"))
    cluster.sleep(10)
    sh(cluster, "mkdir -p /data/x/empty; echo one > /data/x/f", "a")
    assert sh(cluster, "cat /data/x/f; ls /data/x", "b") == "one\nempty\nf\n"
    sh(cluster, "echo two >> /data/x/f", "b")
    assert sh(cluster, "cat /data/x/f", "a") == "one\ntwo\n"
    for name in ("a", "b"):
        cluster.api.delete("Pod", name)
    cluster.sleep(40)
    cluster.api.create(user_of(CLAIM, "c"))
    cluster.sleep(20)
    assert sh(cluster, "cat /data/x/f", "c") == "one\ntwo\n"


def test_a_pod_of_a_stateful_set_finds_its_files_again(cluster: Cluster) -> None:
    """Deleted and created again, it has the claim of its name."""
    template = user_of({"emptyDir": {}})
    del template["spec"]["volumes"]
    cluster.api.create(
        {
            "kind": "StatefulSet",
            "metadata": {"name": "db"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "db"}},
                "template": {"metadata": {"labels": {"app": "db"}}, "spec": template["spec"]},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim()["spec"]}],
            },
        }
    )
    cluster.sleep(20)
    for name in ("db-0", "db-1"):
        sh(cluster, f"echo {name} > /data/name", name)
    uid = cluster.api.get("Pod", "db-0")["metadata"]["uid"]
    cluster.api.delete("Pod", "db-0")
    cluster.sleep(60)
    assert cluster.api.get("Pod", "db-0")["metadata"]["uid"] != uid
    assert sh(cluster, "cat /data/name", "db-0") == "db-0\n"
    assert sh(cluster, "cat /data/name", "db-1") == "db-1\n"


@pytest.mark.parametrize(("policy", "kept"), [("Retain", "one\n"), ("Recycle", ""), ("Delete", "")])
def test_files_and_the_reclaim_policy(cluster: Cluster, policy: str, kept: str) -> None:
    """A retained volume that is bound again has its files; the others lose them."""
    nfs = {"server": "files", "path": "/a"} if policy != "Delete" else None
    volume: Document = {
        "kind": "PersistentVolume",
        "metadata": {"name": "disk"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": policy,
            **({"nfs": nfs} if nfs else {"hostPath": {"path": "/tmp/a"}}),
        },
    }
    cluster.api.create(volume)
    for round in ("first", "second"):
        cluster.api.create(claim(storageClassName=""))
        cluster.api.create(user_of(CLAIM, round, nodeName="node-1"))
        cluster.sleep(20)
        if round == "first":
            sh(cluster, "echo one > /data/f", round)
        else:
            assert sh(cluster, "cat /data/f 2> /dev/null", round) == kept
        cluster.api.delete("Pod", round)
        cluster.api.delete("PersistentVolumeClaim", "data")
        cluster.sleep(60)
        if policy == "Retain":
            cluster.api.patch("PersistentVolume", "disk", {"spec": {"claimRef": None}})
        elif policy == "Delete" and round == "first":
            cluster.api.create(volume)
    if policy == "Delete":
        assert cluster.api.list("PersistentVolume")["items"] == []


def test_host_paths_stay_on_their_node_and_empty_dirs_die_with_their_pod(cluster: Cluster) -> None:
    """A hand-made volume of a host path is a directory of the node, too."""
    path = {"hostPath": {"path": "/srv"}}
    for name, node in (("one", "node-1"), ("two", "node-2")):
        cluster.api.create(user_of(path, name, nodeName=node))
    cluster.api.create(user_of({"emptyDir": {}}, "scratch", nodeName="node-1"))
    cluster.sleep(3)
    sh(cluster, "echo here > /data/f", "one")
    sh(cluster, "echo here > /data/f", "scratch")
    assert sh(cluster, "ls /data", "two") == ""
    volume = {
        "kind": "PersistentVolume",
        "metadata": {"name": "srv"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/srv"},
        },
    }
    cluster.api.create(volume)
    cluster.api.create(claim(storageClassName=""))
    cluster.api.create(user_of(CLAIM, "of-claim", nodeName="node-1"))
    cluster.api.delete("Pod", "scratch")
    cluster.sleep(40)
    assert sh(cluster, "cat /data/f", "of-claim") == "here\n"
    cluster.api.create(user_of({"emptyDir": {}}, "scratch", nodeName="node-1"))
    cluster.sleep(3)
    assert sh(cluster, "ls /data", "scratch") == ""


def test_an_empty_dir_survives_a_power_cut(cluster: Cluster) -> None:
    """On the disk; one in memory does not."""
    cluster.api.create(user_of({"emptyDir": {}}, "disk", nodeName="node-1"))
    cluster.api.create(user_of({"emptyDir": {"medium": "Memory"}}, "ram", nodeName="node-1"))
    cluster.sleep(3)
    for name in ("disk", "ram"):
        sh(cluster, "echo here > /data/f", name)
    cluster.node("node-1").fail()
    cluster.sleep(5)
    cluster.node("node-1").recover()
    cluster.sleep(10)
    assert sh(cluster, "cat /data/f", "disk") == "here\n"
    assert sh(cluster, "ls /data", "ram") == ""


def test_read_only_claims_and_sub_paths(cluster: Cluster) -> None:
    """A claim may be mounted for reading only; a directory of it may be written."""
    cluster.api.create(claim())
    cluster.api.create(user_of(CLAIM, "part", {"subPath": "pg/data"}))
    reader = {"persistentVolumeClaim": {"claimName": "data", "readOnly": True}}
    cluster.api.create(user_of(reader, "reader"))
    cluster.sleep(10)
    assert sh(cluster, "echo one > /data/f; cat /data/f", "part") == "one\n"
    assert sh(cluster, "cat /data/pg/data/f", "reader") == "one\n"
    assert "Read-only file system" in sh(cluster, "echo two > /data/g", "reader")


def test_a_sub_path_of_a_config_map_does_not_follow_it(cluster: Cluster) -> None:
    """The whole volume does."""
    cluster.api.create({"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": "1"}})
    mounts = [
        {"name": "v", "mountPath": "/all"},
        {"name": "v", "mountPath": "/one", "subPath": "k"},
    ]
    web = container(command=["sleep", "999"], volumeMounts=mounts)
    cluster.api.create(a_pod("p", web, volumes=[{"name": "v", "configMap": {"name": "m"}}]))
    cluster.sleep(3)
    cluster.api.patch("ConfigMap", "m", {"data": {"k": "2"}})
    assert sh(cluster, "cat /all/k /one") == "21"


def test_a_file_of_a_volume_may_be_mounted_and_written() -> None:
    """A sub-path that is a file; nothing is written beside it."""
    volume = Volume()
    volume.write("etc/app.conf", "a", append=False)
    files = FileSystem(mounts={"/app.conf": SubPath(volume, "etc/app.conf")})
    files.write("/app.conf", "b", append=True)
    assert volume.read("etc/app.conf") == "ab"
    with pytest.raises(FileError):
        files.write("/app.conf/x", "c")


def test_data_of_deleted_volumes_is_dropped_in_the_end() -> None:
    """A cluster that makes and deletes volumes for ever does not keep their files."""
    store = VolumeStore(lambda name: name == "v0")
    for number in range(150):
        store.data_of(
            {
                "metadata": {"name": f"v{number}", "uid": str(number)},
                "spec": {
                    "persistentVolumeReclaimPolicy": "Delete",
                    "csi": {"driver": "d", "volumeHandle": f"{number}"},
                },
            }
        ).write("f", "1", append=False)
    assert len(store._users) <= 101
    first = store.data_of(
        {
            "metadata": {"name": "v0", "uid": "0"},
            "spec": {
                "persistentVolumeReclaimPolicy": "Delete",
                "csi": {"driver": "d", "volumeHandle": "0"},
            },
        }
    )
    assert first.read("f") == "1"
