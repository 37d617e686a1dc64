"""The EndpointSlice controller: the endpoints of each Service, in slices."""

from kubesim.controllers.endpointslice.controller import EndpointSliceController

__all__ = ["EndpointSliceController"]
