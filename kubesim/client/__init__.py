"""What every component is made of: informer, work queue, controller, event recorder."""

from kubesim.client.controller import Controller
from kubesim.client.decisions import Decision, DecisionLog, RuleStep
from kubesim.client.informer import Informer
from kubesim.client.recorder import EventRecorder
from kubesim.client.retry import retry_on_conflict
from kubesim.client.tools import Tools
from kubesim.client.workqueue import WorkQueue

__all__ = [
    "Controller",
    "Decision",
    "DecisionLog",
    "EventRecorder",
    "Informer",
    "RuleStep",
    "Tools",
    "WorkQueue",
    "retry_on_conflict",
]
