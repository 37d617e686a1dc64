"""The kubelet: a node's agent, the life of its pods, and what they use."""

from kubesim.kubelet.config import KubeletConfig
from kubesim.kubelet.images import ImagePulls
from kubesim.kubelet.kubelet import Kubelet
from kubesim.kubelet.pod.behaviour import JOB_SECONDS
from kubesim.kubelet.stages import PodStage
from kubesim.kubelet.usage.workload import LoadWorkload, SeedWorkload, Workload

__all__ = [
    "JOB_SECONDS",
    "ImagePulls",
    "Kubelet",
    "KubeletConfig",
    "LoadWorkload",
    "PodStage",
    "SeedWorkload",
    "Workload",
]
