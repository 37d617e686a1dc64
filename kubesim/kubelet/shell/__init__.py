"""A small POSIX shell: what the commands of simulated containers do, on the simulated clock.

`kubesim.kubelet.process.start` returns the running program of a command, or None for a program that
is not simulated.
"""
