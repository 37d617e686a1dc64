"""Dispatch the requests of the Kubernetes API; check authorization; return errors as Status.

    /api, /apis, /api/v1, /apis/GROUP, /apis/GROUP/VERSION      discovery
    /api/v1/..., /apis/GROUP/VERSION/...                        objects
    /version, /healthz, /livez, /readyz, /openapi/...           about the server

Source: k8s.io/apiserver/pkg/server/handler.go, pkg/endpoints/installer.go.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from threading import Lock

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.access.attributes import requested_by
from kubesim.apiserver.clusterkinds.certificates import APPROVAL
from kubesim.apiserver.core import NOT_ALLOWED
from kubesim.apiserver.registry import Kind
from kubesim.errors import (
    Expired,
    GenericStatusError,
    MethodNotAllowed,
    NotFound,
    StatusError,
)
from kubesim.rest.http.encodings import EncodingCache
from kubesim.rest.http.response import Response, Resume
from kubesim.rest.http.streams import StreamWriter
from kubesim.rest.http.wire import Request, RequestRejected
from kubesim.rest.kube import bodies, discovery, metrics
from kubesim.rest.kube.discovery import AGGREGATED, Resource
from kubesim.rest.kube.health import serve_health
from kubesim.rest.kube.openapi import OpenAPI
from kubesim.rest.kube.pods import PROXIED, PodHandlers, subresource_of
from kubesim.rest.kube.requestinfo import (
    NO_RESOURCE,
    ListQuery,
    RequestInfo,
    Target,
    flag,
    list_query,
    parse_request_info,
    resolve,
    selected_name,
    watch_query,
)
from kubesim.rest.kube.response import (
    add_warning,
    encode,
    error_response,
    object_response,
    rejection_response,
)
from kubesim.rest.kube.reviews import REVIEWS, answer, issue_token
from kubesim.rest.kube.verbs import Verbs, transformer_for
from kubesim.rest.kube.watch import KubeWatch
from kubesim.rest.serializer.negotiation import parse_accept
from kubesim.rest.users import ADMIN, RequestAttributes, User, Users

READS = ("GET", "HEAD")
IMPERSONATION = ("impersonate-user", "impersonate-group", "impersonate-uid")
COLLECTION_VERBS = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}
OBJECT_VERBS = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
SUBRESOURCE_VERBS = OBJECT_VERBS | {"POST": "create"}  # of an exec: get by websocket, else create
READABLE = ("ephemeralcontainers", "resize")  # parts of a pod whose GET returns the pod
VERBS = ("GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
METHODS = ", ".join((*READS, "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
PREFLIGHT = {
    "Allow": METHODS,
    "Access-Control-Allow-Methods": METHODS,
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
}
CHUNKED = {"Transfer-Encoding": "chunked", "Cache-Control": "no-cache, private"}


class KubeRoutes:
    """The Kubernetes API of one server.

    Args:
        api: the API server.
        streams: writes watches and followed logs.
        users: authenticates requests.
        address: returns host and port of the server, for GET /api.
    """

    def __init__(
        self,
        api: KubeAPI,
        streams: StreamWriter,
        users: Users,
        address: Callable[[], str] = lambda: "127.0.0.1",
    ) -> None:
        self._api = api
        self._streams = streams
        self._users = users
        self._address = address
        self._verbs = Verbs(api)
        self._pods = PodHandlers(api, streams)
        self._encodings = EncodingCache()
        self._served: tuple[list[Kind], list[Resource]] = ([], [])
        self._openapi = OpenAPI(api.registry)
        self._lock = Lock()
        self._requests: Counter[tuple[str, ...]] = Counter()  # guarded by _lock

    def serve(self, request: Request) -> Response:
        """Return the response to a request; an error becomes a Status."""
        info = parse_request_info(request.segments)
        try:
            response = self._serve(request, info)
        except StatusError as error:
            response = error_response(error)
        except RequestRejected as rejection:
            response = rejection_response(rejection.status, str(rejection), rejection.headers)
        if info is not None:
            self._count(request, info, response.status)
        return response

    def _count(self, request: Request, info: RequestInfo, code: int) -> None:
        """Count a request as kube-apiserver does; unknown resources are counted without a name."""
        exists = info.plural in REVIEWS or info.plural == "bindings"
        if not exists and info[:3] not in self._api.registry.served:
            info = RequestInfo("", "", "")
        verb = "APPLY" if bodies.content_type(request) == bodies.APPLY else request.method
        if verb in READS:
            watching = code < 400 and (info.watch or (not info.name and flag(request, "watch")))
            verb = "WATCH" if watching else "GET" if info.name else "LIST"
        elif verb == "DELETE" and not info.name:
            verb = "DELETECOLLECTION"
        scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
        label = verb if verb in VERBS else "OTHER"
        group, version, plural, subresource = (
            info.group,
            info.version,
            info.plural,
            info.subresource,
        )
        labels = (label, group, version, plural, subresource[:30], scope, str(code))
        with self._lock:
            self._requests[labels] += 1

    def request_counts(self) -> dict[tuple[str, ...], int]:
        """Return the counts of requests by verb, resource and code, for /metrics."""
        with self._lock:
            return dict(self._requests)

    # -- dispatch --------------------------------------------------------------------------------

    def _serve(self, request: Request, info: RequestInfo | None) -> Response:
        users, headers = self._users, request.headers
        # An open server has one user; only `kubectl --as` makes another one of it.
        is_open = not users.configured and headers.keys().isdisjoint(IMPERSONATION)
        user = ADMIN if is_open else users.authenticate(headers)
        if user is None:
            raise GenericStatusError(401, "Unauthorized")
        if user is ADMIN:
            return self._serve_user(request, info, user)
        with requested_by(user):
            return self._serve_user(request, info, user)

    def _serve_user(self, request: Request, info: RequestInfo | None, user: User) -> Response:
        if request.method == "OPTIONS":
            return Response(204, headers=PREFLIGHT)
        if info is None:
            return self._server_path(request, user)
        if info.watch:
            return self._watch_path(request, self._resolve(request, info, user), user)
        review = REVIEWS.get(info.plural)
        if review is not None and (info.group, info.version) == (review.resource.group, "v1"):
            return self._review(request, info, user)
        if info.plural == "bindings" and info.group == "":
            self._require(user, RequestAttributes("create", "", "bindings", info.namespace))
            return self._pods.bind(request, info)
        if info.group in metrics.VERSIONS:
            resource = f"{info.plural}/{info.subresource}" if info.subresource else info.plural
            attempt = RequestAttributes("get", info.group, resource, info.namespace, info.name)
            self._require(user, attempt)
            return metrics.serve(self._api, request, info)
        target = self._resolve(request, info, user)
        if info.subresource:
            return self._subresource(request, target, user)
        return self._objects(request, target, user)

    def _server_path(self, request: Request, user: User) -> Response:
        """Serve discovery, OpenAPI, the version and the health checks."""
        segments = tuple(part for part in request.segments if part)
        if request.method not in READS:
            raise MethodNotAllowed(NOT_ALLOWED)
        path = "/" + "/".join(segments)
        self._require(user, RequestAttributes("get", path=path))
        match segments:
            case ("api",) | ("apis",):
                return self._discovery_root(request, core=segments[0] == "api")
            case ("api", "v1"):
                document = discovery.api_resources(self.resources(), "", "v1")
            case ("apis", group):
                versions = discovery.group_versions(self.resources()).get(group)
                document = discovery.api_group(group, versions) if versions and group else None
            case ("apis", group, version):
                document = discovery.api_resources(self.resources(), group, version)
            case ("version",):
                document = dict(discovery.BUILD)
            case ("healthz" | "livez" | "readyz", *_):
                return serve_health(request, segments)
            case ("openapi", "v2") | ("openapi", "v3", *_):
                return self._openapi.serve(request, segments[1:])
            case _:
                document = None
        if document is None:
            raise NotFound(NO_RESOURCE)
        return object_response(document)

    def resources(self) -> list[Resource]:
        """Return the served resources; kinds may be added and removed at any time."""
        kinds = self._api.registry.kinds()
        if self._served[0] != kinds:
            self._served = (kinds, discovery.resources(self._api.registry))
        return self._served[1]

    def _discovery_root(self, request: Request, *, core: bool) -> Response:
        """Serve /api or /apis in the form that the client prefers."""
        for media in parse_accept(request.headers.get("accept", "")):
            parameters = media.parameters
            if media.name == "application/json" and not parameters.get("as"):
                break
            version = parameters.get("v", "")
            if parameters.get("as") == "APIGroupDiscoveryList" and version in AGGREGATED:
                document = discovery.aggregated(self.resources(), version, core=core)
                content_type = discovery.aggregated_type(version)
                return Response(200, encode(document).encode(), content_type)
        if core:
            return object_response(discovery.api_versions(self._address()))
        return object_response(discovery.api_groups(self.resources()))

    # -- objects ---------------------------------------------------------------------------------

    def _objects(self, request: Request, target: Target, user: User) -> Response:
        info, method = target.info, request.method
        verb = (OBJECT_VERBS if info.name else COLLECTION_VERBS).get(method)
        if verb is None:
            raise MethodNotAllowed(NOT_ALLOWED)
        options: ListQuery | None = None
        if verb == "list" and method == "GET":  # a named object has no list options, nor a watch
            options = list_query(request)
            if options.watch:
                verb = "watch"
        # Who may list one object by its name (resourceNames) selects it by metadata.name.
        name = "" if options is None else selected_name(options.fields)
        self._require_on(user, verb, target, name)
        if verb == "patch" and user is not ADMIN:
            self._require_creation(request, target, user)
        response = self._answer(verb, request, target, options)
        kind = target.kind.in_version(target.api_version) if target.kind.custom else target.kind
        if kind.deprecation:
            add_warning(response, kind.deprecation)
        return response

    def _answer(
        self, verb: str, request: Request, target: Target, options: ListQuery | None
    ) -> Response:
        """Answer a request for objects that the user may make.

        Args:
            verb: of the request.
            request, target: the request, and what it is about.
            options: of a GET of a collection.
        """
        if options is not None and verb == "watch":
            return self._watch(request, target, options)
        if verb == "list":
            return self._verbs.list(request, target, options or list_query(request))
        if verb in ("create", "update", "patch", "delete") and target.kind.read_only:
            raise MethodNotAllowed(NOT_ALLOWED)
        handlers: dict[str, Callable[[Request, Target], Response]] = {
            "get": self._verbs.get,
            "create": self._verbs.create,
            "update": self._verbs.replace,
            "patch": self._verbs.patch,
            "delete": self._verbs.delete,
            "deletecollection": self._verbs.delete_collection,
        }
        return handlers[verb](request, target)

    def _require_creation(self, request: Request, target: Target, user: User) -> None:
        """Ask for the verb create, too, if a server-side apply would create the object.

        Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go (withAuthorization).

        Raises:
            Forbidden: the user may patch but not create.
        """
        kind, info = target.kind.qualified_kind, target.info
        if bodies.content_type(request) == bodies.APPLY:
            if self._api.peek(kind, info.name, target.namespace) is None:
                self._require_on(user, "create", target)

    def _subresource(self, request: Request, target: Target, user: User) -> Response:
        """Serve a subresource."""
        info, kind, method = target.info, target.kind, request.method
        self._require_on(user, SUBRESOURCE_VERBS.get(method, ""), target)
        if kind.qualified_kind in PROXIED and subresource_of(target) == "proxy":
            return self._pods.reject(request, target)
        if kind.qualified_kind == "Pod" and info.subresource in self._pods.handlers:
            if info.subresource in READABLE and method in READS:
                return self._verbs.get(request, target)
            return self._pods.serve(request, target)
        if kind.qualified_kind == "ServiceAccount" and info.subresource == "token":
            if method != "POST":
                raise MethodNotAllowed(NOT_ALLOWED)
            return issue_token(self._api, request, info)
        served = {
            "status": kind.status and not kind.read_only,
            "scale": kind.scale,
            "finalize": kind.qualified_kind == "Namespace",
            "approval": kind.qualified_kind == APPROVAL.qualified_kind,
        }
        if not served.get(info.subresource):
            raise NotFound(NO_RESOURCE)
        allowed = ("PUT",) if info.subresource == "finalize" else ("GET", "HEAD", "PUT", "PATCH")
        if method not in allowed:
            raise MethodNotAllowed(NOT_ALLOWED)
        if method == "PUT":
            return self._verbs.replace(request, target)
        if method == "PATCH":
            return self._verbs.patch(request, target)
        return self._verbs.get(request, target)

    def _watch_path(self, request: Request, target: Target, user: User) -> Response:
        """Serve a watch by a deprecated path: ``/api/v1/watch/...``."""
        if target.info.subresource or "watch" not in target.kind.verbs:
            raise NotFound(NO_RESOURCE)
        if request.method != "GET":
            raise MethodNotAllowed(NOT_ALLOWED)
        options = watch_query(request, target.info)
        self._require_on(user, "watch", target, selected_name(options.fields))
        return self._watch(request, target, options)

    def _watch(self, request: Request, target: Target, options: ListQuery) -> Response:
        """Open a watch."""
        self._pods.check_room()
        transformer = transformer_for(self._api, request, target)
        arguments = (self._api, target, options, transformer, self._encodings)
        try:  # an error must become an error response, not a stream that ends
            KubeWatch(*arguments, lambda: None).close()
        except Expired as error:
            raise AssertionError("a watch reports an expired revision in its stream") from error

        def hand_over(connection: socket.socket, head: bytes, resume: Resume | None) -> None:
            self._streams.open(
                connection, head, lambda ready: KubeWatch(*arguments, ready), resume=resume
            )

        return Response(200, b"", "application/json", CHUNKED, stream=hand_over)

    def _review(self, request: Request, info: RequestInfo, user: User) -> Response:
        """Answer a review."""
        if request.method != "POST" or info.name:
            raise MethodNotAllowed(NOT_ALLOWED)
        attempt = RequestAttributes("create", info.group, info.plural, info.namespace)
        self._require(user, attempt)
        return answer(self._api, request, info, user, self._users)

    # -- authorization ---------------------------------------------------------------------------

    def _require(self, user: User, attempt: RequestAttributes) -> None:
        """Raise Forbidden unless the user may do this."""
        if user is not ADMIN:
            self._users.access.require(user, attempt)

    def _resolve(self, request: Request, info: RequestInfo, user: User) -> Target:
        """Find the kind that a path names; who may not use it does not learn whether it exists.

        Raises:
            Forbidden: there is none, and the user may not do this.
            NotFound: there is none.
        """
        try:
            return resolve(self._api.registry, info)
        except NotFound:
            verb = (SUBRESOURCE_VERBS if info.name else COLLECTION_VERBS).get(request.method, "")
            if info.watch or (verb == "list" and flag(request, "watch")):
                verb = "watch"
            part = info.subresource.partition("/")[0]
            resource = f"{info.plural}/{part}" if part else info.plural
            attempt = RequestAttributes(verb, info.group, resource, info.namespace, info.name)
            self._require(user, attempt)
            raise

    def _require_on(self, user: User, verb: str, target: Target, name: str = "") -> None:
        """Raise Forbidden unless the user may do this to the target."""
        if user is ADMIN:
            return
        info = target.info
        part = subresource_of(target)
        resource = f"{info.plural}/{part}" if part else info.plural
        name = info.name or name
        attempt = RequestAttributes(verb, info.group, resource, info.namespace, name)
        self._users.access.require(user, attempt)
