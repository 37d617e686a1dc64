"""The Job controller: completions, completion indexes, backoffLimit, finalizers."""

from kubesim.controllers.job.controller import JobController

__all__ = ["JobController"]
