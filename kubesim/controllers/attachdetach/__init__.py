"""Volumes are attached to the nodes of their pods: the controller, and a simulated attacher."""

from kubesim.controllers.attachdetach.attacher import VolumeAttacher
from kubesim.controllers.attachdetach.controller import AttachDetachController

__all__ = ["AttachDetachController", "VolumeAttacher"]
