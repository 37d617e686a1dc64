"""The API server: verbs, kinds, defaults, validation; the only door to the store."""

from kubesim.apiserver.kubeapi import KubeAPI, default_registry
from kubesim.apiserver.registry import Kind, Registry
from kubesim.apiserver.watching import ResourceEvent, ResourceWatch

__all__ = ["Kind", "KubeAPI", "Registry", "ResourceEvent", "ResourceWatch", "default_registry"]
