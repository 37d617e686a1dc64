"""The life of one pod on a node: phase, containers, probes, termination, status."""
