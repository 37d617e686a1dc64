"""The simulated processes of a pod's containers: environment, files, and programs that run.

A container whose command the shell understands (`kubesim.kubelet.shell`) runs a program: its output
is the container's log, its exit code is the container's.
"""
