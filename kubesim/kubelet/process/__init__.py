"""The simulated processes of a pod's containers: environment, files, and programs that run.

A container whose command the shell of this package's neighbour (`kubesim.kubelet.shell`) understands
has a real program: its output is the container's log, its exit code the container's.
"""
