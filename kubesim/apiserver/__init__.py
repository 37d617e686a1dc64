"""The API server: verbs, kinds, defaults, validation; the only door to the store."""

from kubesim.apiserver.bootstrap import default_registry
from kubesim.apiserver.kubeapi import KubeAPI
from kubesim.apiserver.registry import Kind, Registry
from kubesim.apiserver.watching import ResourceEvent, ResourceWatch

__all__ = ["Kind", "KubeAPI", "Registry", "ResourceEvent", "ResourceWatch", "default_registry"]
