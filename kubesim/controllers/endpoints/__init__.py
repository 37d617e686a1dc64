"""Endpoints of each Service with a selector, and slices that mirror Endpoints written by hand."""

from kubesim.controllers.endpoints.controller import EndpointsController
from kubesim.controllers.endpoints.mirroring import EndpointSliceMirroringController

__all__ = ["EndpointSliceMirroringController", "EndpointsController"]
