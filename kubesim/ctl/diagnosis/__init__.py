"""What holds an object up right now, read from the objects themselves, with a way out.

Components record a decision when they make one; an object that waits for a finalizer, for a dead
kubelet or for a pod that matches a selector has no such moment. `explain()` puts a diagnosis of the
present state after the recorded decisions.
"""

from kubesim.ctl.diagnosis.diagnose import diagnose

__all__ = ["diagnose"]
