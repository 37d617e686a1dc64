"""The routes below /api/pods.

Bodies, codes and error texts are those of the original simulator. The JSON of pod records is cached
by `kubesim.simple.records`.
"""

from __future__ import annotations

from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request


class PodRoutes:
    """The routes below /api/pods.

    Args:
        api: the API server.
    """

    def __init__(self, api: KubeAPI) -> None:
        self._api = api
        self._records = api.seed

    def list(self, _request: Request) -> Response:
        """Return the records of all pods: pending, running and completed."""
        return Response(200, self._records.list_bytes())

    def get(self, _request: Request, id: str) -> Response:
        """Return the record of one pod; 404 "Pod not found"."""
        return Response(200, self._records.get_bytes(id))

    def create(self, request: Request) -> Response:
        """Create a pod: 201 with its id; 400 "Invalid pod name"; 409 the name is taken."""
        body = request.json()
        name = body.get("name") if isinstance(body, dict) else None
        if not isinstance(name, str):
            raise BadRequest("Invalid pod name")
        record = self._api.create_pod(name)
        return Response.json({"message": "Pod created", "id": record["id"]}, 201)

    def delete(self, _request: Request, id: str) -> Response:
        """Delete a pod: 200 after it has stopped; 404 "Pod not found"."""
        self._api.delete_pod(id)
        return Response.json({"message": "Pod deleted"})
