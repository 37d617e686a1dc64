"""Which rule is about which field of a pod spec or container.

Source: pkg/apis/core/validation/validation.go (ValidatePodSpec, validateContainerCommon).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.affinity import validate_affinity
from kubesim.apiserver.podvalidation.containers import (
    validate_host_network,
    validate_ports,
    validate_resize_policy,
)
from kubesim.apiserver.podvalidation.environment import validate_env, validate_env_from
from kubesim.apiserver.podvalidation.mounts import validate_devices, validate_mounts
from kubesim.apiserver.podvalidation.network import (
    validate_host_aliases,
    validate_names,
    validate_os,
    validate_readiness_gates,
)
from kubesim.apiserver.podvalidation.placement import (
    validate_gates,
    validate_node_labels,
    validate_spread,
)
from kubesim.apiserver.podvalidation.probes import (
    ContainerRule,
    for_sidecars,
    validate_lifecycle,
    validate_liveness,
    validate_readiness,
    validate_startup,
)
from kubesim.apiserver.podvalidation.resources import (
    validate_overhead,
    validate_pod_claims,
    validate_pod_resources,
)
from kubesim.apiserver.podvalidation.security import (
    validate_container_security,
    validate_pod_security,
    validate_shared_processes,
)
from kubesim.apiserver.podvalidation.volumes import validate_volumes
from kubesim.apiserver.validation import FieldErrors

if TYPE_CHECKING:
    from kubesim.objects.types import PodSpecDict

SpecRule = Callable[["PodSpecDict", str, FieldErrors], None]

# Field -> the rule about it, in upstream's order. Only the rules of fields that are there are
# called, so that a plain pod enters none of their files.
FIRST_RULES: tuple[tuple[str, SpecRule], ...] = (
    ("volumes", validate_volumes),
    ("resourceClaims", validate_pod_claims),
)
FURTHER_RULES: tuple[tuple[str, SpecRule], ...] = (
    ("resources", validate_pod_resources),
    ("hostNetwork", validate_host_network),
    ("nodeSelector", validate_node_labels),
    ("securityContext", validate_pod_security),
    ("shareProcessNamespace", validate_shared_processes),
    ("affinity", validate_affinity),
    ("readinessGates", validate_readiness_gates),
    ("schedulingGates", validate_gates),
    ("topologySpreadConstraints", validate_spread),
    ("hostname", validate_names),
    ("subdomain", validate_names),
    ("hostAliases", validate_host_aliases),
    ("overhead", validate_overhead),
    ("os", validate_os),
)
CONTAINER_RULES: tuple[tuple[str, ContainerRule], ...] = (
    ("ports", validate_ports),
    ("env", validate_env),
    ("envFrom", validate_env_from),
    ("volumeMounts", validate_mounts),
    ("volumeDevices", validate_devices),
    ("resizePolicy", validate_resize_policy),
    ("securityContext", validate_container_security),
)
PROBE_RULES: tuple[tuple[str, ContainerRule], ...] = (
    ("lifecycle", validate_lifecycle),
    ("livenessProbe", validate_liveness),
    ("readinessProbe", validate_readiness),
    ("startupProbe", validate_startup),
)
RULES_BY_LIST: dict[str, tuple[tuple[str, ContainerRule], ...]] = {
    "containers": (
        *CONTAINER_RULES,
        *PROBE_RULES,
    ),
    "initContainers": (
        *CONTAINER_RULES,
        *((field, for_sidecars(field, rule)) for field, rule in PROBE_RULES),
    ),
}
