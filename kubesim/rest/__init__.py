"""KubeAPI over HTTP, on the standard library's http.server."""

from kubesim.rest.server import RestServer

__all__ = ["RestServer"]
