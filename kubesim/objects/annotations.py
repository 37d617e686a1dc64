"""Annotations with which a manifest tells the simulator what real containers would just do.

No counterpart in Kubernetes: there, the image decides. The prefix is ours, so that these can never
clash with real ones.
"""

WORKLOAD = "kubesim.dev/workload"
"""How a pod uses CPU and memory: JSON, for example ``{"model": "load"}`` (see kubelet.workload)."""

RUN_SECONDS = "kubesim.dev/run-seconds"
"""The containers exit by themselves after so many seconds of running."""

EXIT_CODE = "kubesim.dev/exit-code"
"""With which exit code they do; 0 if missing."""

START_SECONDS = "kubesim.dev/start-seconds"
"""Seconds from the kubelet's admission to running containers; 1 if missing."""

SYNC_PERIOD = "kubesim.dev/sync-period"
"""On an HPA: how often it looks, as a Go duration. In Kubernetes a flag, and 15 s for all."""
