"""Well-known labels, annotations, taints and defaults that more than one component uses.

Labels, annotations and taints that start with ``kubesim.dev/`` are the simulator's own: with them a
manifest says what a real image would decide, for example how long a container runs. An annotation
of a pod is about all its main containers. Followed by a dot and a container's name
(``kubesim.dev/run-seconds.migrate``) it is about that container alone, which may also be an init
container or a sidecar.

Source: k8s.io/api/core/v1 (well_known_labels.go, well_known_taints.go,
annotation_key_constants.go); kubernetes.io/docs/reference/labels-annotations-taints.
"""

from __future__ import annotations

# -- namespaces and names --------------------------------------------------------------------------

DEFAULT_NAMESPACE = "default"
LEASE_NAMESPACE = "kube-node-lease"
"""Namespace of the Leases with which kubelets report that they are alive."""

DEFAULT_ACCOUNT = "default"
"""Name of the ServiceAccount of pods that name none."""

TOKEN_SECRET = "kubernetes.io/service-account-token"
"""Type of a Secret that holds a token of a ServiceAccount."""

ACCOUNT_NAME, ACCOUNT_UID = (
    "kubernetes.io/service-account.name",
    "kubernetes.io/service-account.uid",
)
"""Annotations of such a Secret: the ServiceAccount."""

ATTACH_DETACH = "volumes.kubernetes.io/controller-managed-attach-detach"
TOKEN_VOLUME = "kube-api-access-"
"""Prefix of the name of a pod's volume with the token of its ServiceAccount."""

ROOT_CA = "kube-root-ca.crt"
"""Name of the ConfigMap in each namespace with the certificate of the API server."""

DEFAULT_SCHEDULER = "default-scheduler"
METRICS_GROUP = "metrics.k8s.io"
RBAC_GROUP = "rbac.authorization.k8s.io"
META_GROUP = "meta.k8s.io"
"""API group of ListOptions, DeleteOptions, PatchOptions ..."""

# -- labels ----------------------------------------------------------------------------------------

HOSTNAME_LABEL = "kubernetes.io/hostname"
ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""Label that the API server gives each namespace: its name."""

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""Label of an EndpointSlice: the Service that it belongs to."""

POD_TEMPLATE_HASH_LABEL = "pod-template-hash"
"""Label of a Deployment's ReplicaSets and pods."""

REVISION_HASH_LABEL = "controller-revision-hash"
"""Label of a StatefulSet's or DaemonSet's pods: their ControllerRevision."""

# -- annotations -----------------------------------------------------------------------------------

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
"""Annotation of a mirror pod: it stands for a static pod of a node."""

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""Annotation of the bookmark that ends the existing objects of a watch."""

# -- taints ----------------------------------------------------------------------------------------

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
MEMORY_PRESSURE = "node.kubernetes.io/memory-pressure"
DISK_PRESSURE = "node.kubernetes.io/disk-pressure"
PID_PRESSURE = "node.kubernetes.io/pid-pressure"
NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"
NO_SCHEDULE = "NoSchedule"
PREFER_NO_SCHEDULE = "PreferNoSchedule"
NO_EXECUTE = "NoExecute"
TAINT_EFFECTS = (NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE)

# -- conditions and protocols ----------------------------------------------------------------------

DISRUPTION_TARGET = "DisruptionTarget"
"""Condition of a pod that is evicted or preempted."""

PORT_PROTOCOLS = ("SCTP", "TCP", "UDP")

# -- defaults --------------------------------------------------------------------------------------

TERMINATION_GRACE_SECONDS = 30
"""spec.terminationGracePeriodSeconds of a pod that does not set it."""

MAX_PODS = 110
"""Pods for each node: --max-pods of the kubelet."""

RESYNC_SECONDS = 600.0
"""How often a component lists all objects again, which repairs whatever it missed."""

MAX_INT32 = 2**31 - 1
"""Largest value of the API's whole numbers."""

TICK_LINE = "[tick] Pod is running..."
"""What a simulated server writes to its log each second."""

# -- annotations of the simulator ------------------------------------------------------------------

WORKLOAD = "kubesim.dev/workload"
"""How a pod uses CPU and memory: JSON, for example ``{"model": "load"}``; see
`kubesim.kubelet.usage.workload`."""

RUN_SECONDS = "kubesim.dev/run-seconds"
"""Seconds of running after which a container exits by itself. If missing, its command decides
(`kubesim.kubelet.shell`); one that is not understood runs on if it is a server, and ends after
`job_seconds` if it is work (a restartPolicy other than Always)."""

EXIT_CODE = "kubesim.dev/exit-code"
"""Exit code of a container that exits by itself; 0 if missing."""

START_SECONDS = "kubesim.dev/start-seconds"
"""Seconds from the kubelet's admission to running containers; 1 if missing."""

STOP_SECONDS = "kubesim.dev/stop-seconds"
"""Seconds from SIGTERM to the end of a container; 0 if missing; ``never``: it ignores SIGTERM."""

STOP_EXIT_CODE = "kubesim.dev/stop-exit-code"
"""Exit code of a container that ends after SIGTERM. If missing: 0 for a server, which catches the
signal; 143 for a container that ignores it, and for work (a restartPolicy other than Always)."""

TERMINATION_MESSAGE = "kubesim.dev/termination-message"
"""What a container writes to its terminationMessagePath before it exits."""

PROBE = "kubesim.dev/probe"
"""How a container answers its probes: JSON; see `kubesim.kubelet.pod.behaviour`."""

SIMULATED_NODE = "kubesim.dev/node"
"""On a Node made through the API: it gets a simulated kubelet, whatever the value."""

SIMULATED_NODE_KWOK = "kwok.x-k8s.io/node"
"""The same, as manifests made for KWOK say it."""

STAGE = "kubesim.dev/stage"
"""A stage of this pod's own: JSON; see `kubesim.kubelet.stages`."""

SYNC_PERIOD = "kubesim.dev/sync-period"
"""On an HPA: its sync period, as a Go duration. In Kubernetes a flag, 15 s for all HPAs."""
