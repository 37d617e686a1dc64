"""The kubelet: a node's agent, the life of its pods, and what they use."""

from kubesim.kubelet.kubelet import Kubelet
from kubesim.kubelet.workload import LoadWorkload, SeedWorkload, Workload

__all__ = ["Kubelet", "LoadWorkload", "SeedWorkload", "Workload"]
