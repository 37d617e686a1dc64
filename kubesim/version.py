"""Versions: of this package, and of the Kubernetes release whose behaviour it mirrors."""

from __future__ import annotations

__version__ = "0.3.0.dev0"
KUBERNETES_VERSION = "1.34"
