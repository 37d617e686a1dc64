"""StorageClass, PersistentVolume, PersistentVolumeClaim, the CSI kinds: defaults, rules, cells.

Source: pkg/apis/storage/validation/validation.go, pkg/apis/core/validation/validation.go,
pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import make_api
from kind_samples import causes_of, sample

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.printers.table import table_for
from kubesim.errors import Invalid

Spec = dict[str, Any]
STORAGE = "storage.k8s.io/v1"
SIZE = {"storage": "1Gi"}
TERM = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
REQUIRED = {"required": {"nodeSelectorTerms": [TERM]}}


def claim(**fields: Any) -> Spec:
    """A claim; a field None is left out."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": SIZE}, **fields}
    spec = {name: value for name, value in spec.items() if value is not None}
    return sample("v1", "PersistentVolumeClaim", spec=spec)


def volume(**fields: Any) -> Spec:
    """A volume on a host path; a field None is left out."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": SIZE,
        "hostPath": {"path": "/mnt/a"},
        **fields,
    }
    spec = {name: value for name, value in spec.items() if value is not None}
    return sample("v1", "PersistentVolume", spec=spec)


def storage_class(**fields: Any) -> Spec:
    """A class."""
    return sample(STORAGE, "StorageClass", **{"provisioner": "disk.example.com", **fields})


def topology(*expressions: Spec) -> list[Spec]:
    """allowedTopologies with one term."""
    return [{"matchLabelExpressions": list(expressions)}]


def driver(**fields: Any) -> Spec:
    """A CSIDriver."""
    return sample(STORAGE, "CSIDriver", "disk.example.com", spec=fields)


def csi_node(*drivers: Spec) -> Spec:
    """A CSINode."""
    return sample(STORAGE, "CSINode", spec={"drivers": list(drivers)})


def attachment(**source: Any) -> Spec:
    """A VolumeAttachment."""
    spec = {"attacher": "disk.example.com", "nodeName": "node-1", "source": source}
    return sample(STORAGE, "VolumeAttachment", spec=spec)


A_DRIVER = {"name": "disk.example.com", "nodeID": "n1"}
ZONE = {"key": "zone", "values": ["a"]}
MODES = "spec.accessModes"
ROWS: list[tuple[Spec, str, str]] = [
    (claim(accessModes=None), MODES, "Required value: at least 1 access mode is required"),
    (
        claim(accessModes=["Often"]),
        MODES,
        'Unsupported value: "Often": supported values: "ReadOnlyMany", "ReadWriteMany", '
        '"ReadWriteOnce", "ReadWriteOncePod"',
    ),
    (
        claim(accessModes=["ReadWriteOncePod", "ReadWriteOnce"]),
        MODES,
        "may not use ReadWriteOncePod with other access modes",
    ),
    (claim(resources=None), "spec.resources[storage]", "Required value"),
    (claim(resources={"requests": {"storage": "0"}}), "spec.resources[storage]", "positive"),
    (claim(storageClassName="A_b"), "spec.storageClassName", "a lowercase RFC 1123 subdomain"),
    (claim(volumeMode="Tape"), "spec.volumeMode", 'supported values: "Block", "Filesystem"'),
    (
        claim(selector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
        "spec.selector.matchExpressions[0].values",
        "Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ),
    (claim(dataSource={"kind": "PersistentVolumeClaim"}), "spec.dataSource.name", "Required"),
    (
        claim(dataSourceRef={"kind": "Pod", "name": "x"}),
        "spec.dataSource",
        "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
    ),
    (
        claim(
            dataSource={"kind": "PersistentVolumeClaim", "name": "x"},
            dataSourceRef={"kind": "PersistentVolumeClaim", "name": "y"},
        ),
        "spec",
        "must match dataSourceRef",
    ),
    (volume(accessModes=None), MODES, "Required value"),
    (volume(capacity=None), "spec.capacity", "Required value"),
    (volume(capacity={"cpu": "1"}), "spec.capacity", 'supported values: "storage"'),
    (volume(capacity={"storage": "-1"}), "spec.capacity[storage]", "must be positive"),
    (volume(hostPath=None), "spec", "must specify a volume type"),
    (volume(hostPath={}), "spec.hostPath.path", "Required value"),
    (volume(hostPath={"path": "/a/../b"}), "spec.hostPath.path", "must not contain '..'"),
    (volume(hostPath={"path": "/a", "type": "Tape"}), "spec.hostPath.type", "Unsupported value"),
    (volume(nfs={"server": "s", "path": "/"}), "spec.nfs", "may not specify more than 1 volume"),
    (volume(hostPath=None, nfs={"server": "s", "path": "x"}), "spec.nfs.path", "absolute path"),
    (
        volume(hostPath=None, local={"path": "/a"}),
        "spec.nodeAffinity",
        "Local volume requires node affinity",
    ),
    (volume(nodeAffinity={}), "spec.nodeAffinity.required", "must specify required node"),
    (
        volume(nodeAffinity={"required": {"nodeSelectorTerms": []}}),
        "spec.nodeAffinity.required.nodeSelectorTerms",
        "must have at least one node selector term",
    ),
    (
        volume(persistentVolumeReclaimPolicy="Burn"),
        "spec.persistentVolumeReclaimPolicy",
        'supported values: "Delete", "Recycle", "Retain"',
    ),
    (
        volume(hostPath={"path": "/"}, persistentVolumeReclaimPolicy="Recycle"),
        "spec.persistentVolumeReclaimPolicy",
        "may not be 'recycle' for a hostPath mount of '/'",
    ),
    (
        volume(volumeAttributesClassName="gold"),
        "spec.csi",
        "has to be specified when using volumeAttributesClassName",
    ),
    (volume(hostPath=None, csi={"driver": "d"}), "spec.csi.volumeHandle", "Required value"),
    (storage_class(provisioner=""), "provisioner", "Required value"),
    (storage_class(provisioner="a b"), "provisioner", "name part must consist of"),
    (storage_class(reclaimPolicy="Recycle"), "reclaimPolicy", '"Delete", "Retain"'),
    (
        storage_class(volumeBindingMode="Later"),
        "volumeBindingMode",
        'supported values: "Immediate", "WaitForFirstConsumer"',
    ),
    (storage_class(parameters={"": "x"}), "parameters", "field can not be empty."),
    (
        storage_class(allowedTopologies=topology({"key": "zone", "values": []})),
        "allowedTopologies[0].matchLabelExpressions[0].values",
        "Required value",
    ),
    (
        storage_class(allowedTopologies=topology({"key": "zone", "values": ["a", "a"]})),
        "allowedTopologies[0].matchLabelExpressions[0].values[1]",
        'Duplicate value: "a"',
    ),
    (
        storage_class(allowedTopologies=topology(ZONE, ZONE)),
        "allowedTopologies[0].matchLabelExpressions[1].key",
        'Duplicate value: "zone"',
    ),
    (driver(fsGroupPolicy="Any"), "spec.fsGroupPolicy", "Unsupported value"),
    (driver(volumeLifecycleModes=["Once"]), "spec.volumeLifecycleModes", "Unsupported value"),
    (csi_node({"name": "disk.example.com"}), "spec.drivers[0].nodeID", "Required value"),
    (csi_node(A_DRIVER, A_DRIVER), "spec.drivers[1].name", "Duplicate value"),
    (
        csi_node({**A_DRIVER, "allocatable": {"count": -1}}),
        "spec.drivers[0].allocatable.count",
        "must be greater than or equal to 0",
    ),
    (attachment(), "spec.source", "must specify exactly one of inlineVolumeSpec"),
    (
        attachment(persistentVolumeName=""),
        "spec.source.persistentVolumeName",
        "must specify non empty persistentVolumeName",
    ),
    (
        sample(STORAGE, "CSIStorageCapacity", storageClassName="a", capacity="-1"),
        "capacity",
        "must be greater than or equal to 0",
    ),
    (
        sample(STORAGE, "VolumeAttributesClass", driverName="d"),
        "parameters",
        "must contain at least one key/value pair",
    ),
]


@pytest.mark.parametrize(("document", "field", "message"), ROWS)
def test_what_kubernetes_refuses_is_refused(
    api: KubeAPI, document: Spec, field: str, message: str
) -> None:
    """Each broken rule is reported with upstream's path and text."""
    with pytest.raises(Invalid) as raised:
        api.create(document)
    causes = causes_of(raised.value)
    assert [text for name, text in causes if name == field and message in text], causes


VALID = [
    claim(),
    volume(),
    volume(hostPath=None, local={"path": "/a"}, nodeAffinity=REQUIRED),
    storage_class(allowedTopologies=topology(ZONE)),
    driver(attachRequired=False),
    csi_node(A_DRIVER),
    attachment(persistentVolumeName="a"),
    sample(STORAGE, "CSIStorageCapacity", storageClassName="a", capacity="1Gi"),
    sample(STORAGE, "VolumeAttributesClass", driverName="d", parameters={"iops": "1"}),
]


@pytest.mark.parametrize("document", VALID, ids=lambda document: document["kind"])
def test_what_is_written_is_read_back(api: KubeAPI, document: Spec) -> None:
    """Defaults are stable: a second write changes nothing."""
    made = api.create(document)
    assert api.update(made) == made
    table_for(api.registry.find(document["kind"]), [made], api.clock, 0.0)


def test_defaults_are_those_of_kubernetes(api: KubeAPI) -> None:
    """Modes, policies, phases and the finalizers of protection."""
    made = api.create(claim())
    assert made["spec"]["volumeMode"] == "Filesystem"
    assert made["status"] == {"phase": "Pending"}
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    copied = api.create(
        {
            **claim(dataSource={"kind": "PersistentVolumeClaim", "name": "x"}),
            "metadata": {"name": "copy"},
        }
    )
    assert copied["spec"]["dataSourceRef"] == copied["spec"]["dataSource"]
    other = {"apiGroup": "hello.example.com", "kind": "Hello", "name": "x"}
    foreign = api.create({**claim(dataSource=other), "metadata": {"name": "foreign"}})
    assert "dataSource" not in foreign["spec"]
    populated = api.create({**claim(dataSourceRef=other), "metadata": {"name": "populated"}})
    assert populated["spec"]["dataSource"] == other
    elsewhere = {"kind": "PersistentVolumeClaim", "name": "x", "namespace": "other"}
    crossing = api.create({**claim(dataSourceRef=elsewhere), "metadata": {"name": "crossing"}})
    assert not {"dataSource", "dataSourceRef"} & set(crossing["spec"])
    made = api.create(volume())
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert made["spec"]["hostPath"] == {"path": "/mnt/a", "type": ""}
    assert made["status"]["phase"] == "Pending"
    assert made["status"]["lastPhaseTransitionTime"] == made["metadata"]["creationTimestamp"]
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    made = api.create(storage_class())
    assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")
    made = api.create(driver())
    assert made["spec"]["attachRequired"] is True
    assert made["spec"]["fsGroupPolicy"] == "ReadWriteOnceWithFSType"


@pytest.mark.parametrize(
    ("document", "change", "message"),
    [
        (claim(), {"spec": {"accessModes": ["ReadWriteMany"]}}, "spec is immutable after creation"),
        (
            claim(storageClassName="a"),
            {"spec": {"storageClassName": "b"}},
            "spec is immutable after creation except resources.requests",
        ),
        (
            claim(volumeAttributesClassName="a"),
            {"spec": {"volumeAttributesClassName": None}},
            "update from non-nil value to nil is forbidden",
        ),
        (volume(), {"spec": {"hostPath": {"path": "/b"}}}, "persistentvolumesource is immutable"),
        (volume(), {"spec": {"volumeMode": "Block"}}, "volumeMode: Invalid value"),
        (
            volume(nodeAffinity=REQUIRED),
            {"spec": {"nodeAffinity": None}},
            "nodeAffinity: Invalid value",
        ),
        (storage_class(), {"provisioner": "x"}, "updates to provisioner are forbidden."),
        (storage_class(), {"parameters": {"a": "b"}}, "updates to parameters are forbidden."),
        (storage_class(), {"reclaimPolicy": "Retain"}, "updates to reclaimPolicy are forbidden."),
        (
            storage_class(),
            {"volumeBindingMode": "WaitForFirstConsumer"},
            "volumeBindingMode: Invalid value",
        ),
        (driver(), {"spec": {"attachRequired": False}}, "field is immutable"),
        (
            attachment(persistentVolumeName="a"),
            {"spec": {"nodeName": "x"}},
            "field is immutable",
        ),
    ],
)
def test_what_may_not_change_is_refused(
    api: KubeAPI, document: Spec, change: Spec, message: str
) -> None:
    """Immutable fields, with upstream's texts."""
    api.create(document)
    with pytest.raises(Invalid, match=message):
        api.patch(document["kind"], document["metadata"]["name"], change)


def test_what_may_change_may_change(api: KubeAPI) -> None:
    """A claim gets its class and its volume once; a class may allow expansion later."""
    api.delete("StorageClass", "standard")
    api.create(claim())
    for change in ({"storageClassName": "a"}, {"volumeName": "v"}):
        api.patch("PersistentVolumeClaim", "sample", {"spec": change})
    api.create(storage_class())
    api.patch("StorageClass", "sample", {"allowVolumeExpansion": True})
    api.create(volume())
    api.patch("PersistentVolume", "sample", {"spec": {"capacity": {"storage": "2Gi"}}})
    api.patch("PersistentVolume", "sample", {"spec": {"nodeAffinity": REQUIRED}})


def test_tables_are_those_of_kubectl() -> None:
    """Narrow and wide columns; the default class says so."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.api.create(claim())
        cluster.api.create(volume(storageClassName="slow"))
        cluster.sleep(60)
        name = cluster.api.get("pvc", "sample")["spec"]["volumeName"]
        lines = [" ".join(line.split()) for line in str(cluster.get("pv", wide=True)).split("\n")]
        assert lines[0] == (
            "Name Capacity Access Modes Reclaim Policy Status Claim StorageClass "
            "VolumeAttributesClass Reason Age VolumeMode"
        )
        assert lines[2:] == [
            f"{name} 1Gi RWO Delete Bound default/sample standard <unset> 60s Filesystem",
            "sample 1Gi RWO Retain Available slow <unset> 60s Filesystem",
        ]
        (line,) = str(cluster.get("pvc", wide=True)).split("\n")[2:]
        assert " ".join(line.split()) == (
            f"default sample Bound {name} 1Gi RWO standard <unset> 60s Filesystem"
        )
        (line,) = str(cluster.get("sc")).split("\n")[2:]
        words = "standard (default) kubesim.dev/local Delete Immediate True 60s"
        assert " ".join(line.split()) == words


def test_a_statefulset_may_mount_its_claim_templates() -> None:
    """Upstream does not validate the pod spec of its template; the retention policy it does."""
    api = make_api()
    mounts = [{"name": "data", "mountPath": "/data"}]
    pods = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "volumeMounts": mounts}]},
    }
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "serviceName": "s",
        "template": pods,
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim()["spec"]}],
    }
    api.create(sample("apps/v1", "StatefulSet", spec=spec))
    wrong = {**spec, "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Burn"}}
    with pytest.raises(Invalid) as raised:
        api.create(sample("apps/v1", "StatefulSet", "other", spec=wrong))
    assert causes_of(raised.value) == [
        (
            "spec.persistentVolumeClaimRetentionPolicy.whenScaled",
            'Unsupported value: "Burn": supported values: "Retain", "Delete"',
        )
    ]
