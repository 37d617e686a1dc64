"""The configuration of a cluster's kubelets: a small KubeletConfiguration.

>>> from kubesim.quantity import parse_memory
>>> config = KubeletConfig(system_reserved={"cpu": "500m", "memory": "1Gi"})
>>> config.allocatable({"cpu": "4", "memory": "8Gi", "pods": "110"})
{'cpu': '3500m', 'memory': '7068Mi', 'pods': '110'}
>>> KubeletConfig().allocatable({"cpu": "4", "memory": "8Gi", "pods": "110"})
{'cpu': '4', 'memory': '8Gi', 'pods': '110'}

Source: staging/src/k8s.io/kubelet/config/v1beta1/types.go (KubeletConfiguration),
pkg/kubelet/cm/node_container_manager_linux.go (getNodeAllocatableAbsolute).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubesim.errors import BadRequest
from kubesim.kubelet.images import ImagePulls
from kubesim.quantity import MEBIBYTE, format_cpu, parse_cpu_milli, parse_memory

EVICTION_MEMORY = "100Mi"  # --eviction-hard memory.available<100Mi
EVICTION_PERIOD_SECONDS = 10.0  # evictionMonitoringPeriod
PRESSURE_SECONDS = 300.0  # evictionPressureTransitionPeriod
SIGNAL = "memory.available"
STORAGE = "ephemeral-storage"


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """The configuration of all kubelets of a cluster.

    Args:
        kube_reserved, system_reserved: what pods do not get of CPU, memory and
            ephemeral-storage, as quantities by name.
        eviction_hard: thresholds by signal; ours knows ``memory.available``. None is the real
            default, 100Mi, for evictions only: a node without configuration offers its whole
            capacity, so that lessons can count with round figures. In Kubernetes, allocatable is
            then 100Mi less than capacity, too.
        eviction_minimum_reclaim: how much more than the threshold has to be freed, by signal.
        pressure_seconds: how long a pressure condition lasts after the pressure.
        image_pull: a registry with pull times; None: every image is on every node.

    Raises:
        BadRequest: an unknown signal.
        ValueError: a malformed quantity.
    """

    kube_reserved: Mapping[str, str] = field(default_factory=dict)
    system_reserved: Mapping[str, str] = field(default_factory=dict)
    eviction_hard: Mapping[str, str] | None = None
    eviction_minimum_reclaim: Mapping[str, str] = field(default_factory=dict)
    pressure_seconds: float = PRESSURE_SECONDS
    image_pull: ImagePulls | None = None

    def __post_init__(self) -> None:
        for signal in (*(self.eviction_hard or {}), *self.eviction_minimum_reclaim):
            if signal != SIGNAL:
                raise BadRequest(f"unknown eviction signal {signal!r}", hint=f"{SIGNAL}")
        self.allocatable({"cpu": "0", "memory": "0"})

    @property
    def threshold_bytes(self) -> int:
        """Pods are evicted while less memory than this is available."""
        return parse_memory((self.eviction_hard or {}).get(SIGNAL, EVICTION_MEMORY))

    @property
    def reclaim_bytes(self) -> int:
        """How much more than the threshold has to be available before evictions end."""
        return parse_memory(self.eviction_minimum_reclaim.get(SIGNAL, "0"))

    def allocatable(self, capacity: Mapping[str, str]) -> dict[str, str]:
        """Return what pods may request: capacity less the reserves and the eviction threshold.

        Args:
            capacity: of the node, as quantities by name.
        """
        reserves = (self.kube_reserved, self.system_reserved)
        if self.eviction_hard is None and not any(reserves):
            return dict(capacity)
        cpu = sum(parse_cpu_milli(reserve.get("cpu", "0")) for reserve in reserves)
        memory = sum(parse_memory(reserve.get("memory", "0")) for reserve in reserves)
        memory += self.threshold_bytes
        offered = dict(capacity)
        offered["cpu"] = format_cpu(max(0, parse_cpu_milli(capacity["cpu"]) - cpu))
        remaining = max(0, parse_memory(capacity["memory"]) - memory)
        if storage := sum(parse_memory(r.get(STORAGE, "0")) for r in reserves):
            left = max(0, parse_memory(capacity.get(STORAGE, "0")) - storage)
            offered[STORAGE] = _binary(left)
        offered["memory"] = _binary(remaining)
        return offered


def _binary(amount: int) -> str:
    """Return bytes as a quantity in MiB or, if that is no whole number, KiB."""
    return f"{amount // MEBIBYTE}Mi" if amount % MEBIBYTE == 0 else f"{amount // 1024}Ki"
