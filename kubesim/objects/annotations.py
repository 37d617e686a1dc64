"""Annotations with which a manifest tells the simulator what real containers would just do.

No counterpart in Kubernetes: there, the image decides. The prefix is ours, so that these can never
clash with real ones.

An annotation of a pod speaks of all its main containers. Followed by a dot and a container's name
(``kubesim.dev/run-seconds.migrate``) it speaks of that container alone, also of an init container
or a sidecar.
"""

WORKLOAD = "kubesim.dev/workload"
"""How a pod uses CPU and memory: JSON, for example ``{"model": "load"}`` (see kubelet.workload)."""

RUN_SECONDS = "kubesim.dev/run-seconds"
"""The containers exit by themselves after so many seconds of running."""

EXIT_CODE = "kubesim.dev/exit-code"
"""With which exit code they do; 0 if missing."""

START_SECONDS = "kubesim.dev/start-seconds"
"""Seconds from the kubelet's admission to running containers; 1 if missing."""

STOP_SECONDS = "kubesim.dev/stop-seconds"
"""Seconds from SIGTERM to the end of a container; 0 if missing; ``never``: it ignores SIGTERM."""

STOP_EXIT_CODE = "kubesim.dev/stop-exit-code"
"""With which exit code it ends after SIGTERM. If missing: 0 of a server, which catches the signal;
143 of one that ignores it, and of work that has an end (run-seconds, and no restartPolicy Always).
"""

TERMINATION_MESSAGE = "kubesim.dev/termination-message"
"""What a container leaves in its terminationMessagePath when it exits."""

PROBE = "kubesim.dev/probe"
"""How a container answers its probes: JSON, see kubelet.behaviour.Answers."""

SYNC_PERIOD = "kubesim.dev/sync-period"
"""On an HPA: how often it looks, as a Go duration. In Kubernetes a flag, and 15 s for all."""
