"""The subresources of pods: log, binding, eviction, exec, attach.

Source: pkg/registry/core/pod/storage (BindingREST, EvictionREST), pkg/registry/core/pod/rest.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.core import NOT_ALLOWED
from kubesim.apiserver.verbs.subresources import CommandResult, check_container
from kubesim.errors import BadRequest, GenericStatusError, MethodNotAllowed, TooManyRequests
from kubesim.objects.kindnames import POD
from kubesim.rest.http.response import RETRY_AFTER_SECONDS, Response, Resume
from kubesim.rest.http.streams import Source, StreamWriter
from kubesim.rest.http.wire import Request
from kubesim.rest.kube import bodies
from kubesim.rest.kube.podlogs import (
    AttachedFollower,
    LogFollower,
    find_container,
    log_options,
    render,
    select,
)
from kubesim.rest.kube.requestinfo import RequestInfo, Target, delete_query, dry_run, flag
from kubesim.rest.kube.response import object_response
from kubesim.rest.remote.execute import (
    CommandSource,
    CopySource,
    copies_input,
    is_shell,
    reads_input,
)
from kubesim.rest.remote.session import ShellSession
from kubesim.rest.remote.websocket import STDERR, STDOUT, FrameReader, handshake, is_websocket

TEXT = "text/plain"
# The create handler writes its code into a Status (apiserver/pkg/endpoints/handlers/create.go).
CREATED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
CHUNKED = {"Transfer-Encoding": "chunked"}
PROXIED = ("Pod", "Service", "Node")  # have the subresource proxy
NO_PROCESS = "is not supported by the simulator: there is no process to connect to"
UNSUPPORTED = {
    "portforward": f"port-forward {NO_PROCESS}",
    "proxy": f"the proxy {NO_PROCESS}",
    "ephemeralcontainers": f"debugging with ephemeral containers {NO_PROCESS}",
    "resize": "resizing in place is not supported by the simulator: change the resources in the "
    "template of the pod's controller, or create the pod again",
}


class PodHandlers:
    """The subresources of pods.

    Args:
        api: the API server.
        streams: writes followed logs and websockets.

    Attributes:
        handlers: handler by the name of the subresource.
    """

    def __init__(self, api: KubeAPI, streams: StreamWriter) -> None:
        self._api = api
        self._streams = streams
        self.handlers: dict[str, Callable[[Request, Target], Response]] = {
            "log": self.log,
            "binding": self._binding,
            "eviction": self.evict,
            "exec": self.exec,
            "attach": self.attach,
            **dict.fromkeys(UNSUPPORTED, self.reject),
        }

    def check_room(self) -> None:
        """Raise an error if the server has as many streams as it may have.

        Raises:
            TooManyRequests: with the seconds after which to retry.
        """
        if len(self._streams) >= self._streams.limit:
            raise TooManyRequests(
                f"the limit of {self._streams.limit} streams is reached",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )

    def serve(self, request: Request, target: Target) -> Response:
        """Serve a subresource of a pod."""
        return self.handlers[subresource_of(target)](request, target)

    def log(self, request: Request, target: Target) -> Response:
        """Return or follow the log of a container, as text."""
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(NOT_ALLOWED)
        api, info = self._api, target.info
        options = log_options(request, api.clock)
        # KubeAPI checks that the pod and the container exist.
        api.pod_logs(
            info.name,
            target.namespace,
            container=options.container or None,
            tail_lines=options.tail,
            previous=options.previous,
        )
        pod = api.get(POD, info.name, target.namespace)
        container = find_container(pod, options)
        if options.follow and not options.previous and request.method == "GET":
            self.check_room()

            def hand_over(connection: socket.socket, head: bytes, resume: Resume | None) -> None:
                follower = LogFollower(api, pod, container, options)
                self._streams.open(connection, head, lambda _on_ready: follower, resume=resume)

            return Response(200, b"", TEXT, CHUNKED, stream=hand_over)
        lines = select(api.log_lines(pod, container, previous=options.previous), options)
        body = render(lines, options, api.clock)
        return Response(200, body[: options.limit_bytes], TEXT)

    def bind(self, request: Request, info: RequestInfo) -> Response:
        """Serve POST /bindings, where the body names the pod."""
        if request.method != "POST" or info.name or not info.namespace:
            raise MethodNotAllowed(NOT_ALLOWED)
        return self._bind(request, info.namespace, "")

    def _binding(self, request: Request, target: Target) -> Response:
        """Serve POST /pods/NAME/binding."""
        if request.method != "POST":
            raise MethodNotAllowed(NOT_ALLOWED)
        return self._bind(request, target.info.namespace, target.info.name)

    def _bind(self, request: Request, namespace: str, name: str) -> Response:
        document = bodies.read_document(request, "a Binding")
        bodies.set_kind(document, "Binding", "v1")
        metadata, to = (
            bodies.object_field(document, "metadata"),
            bodies.object_field(document, "target"),
        )
        named = metadata.get("name")
        if (name and named and named != name) or not (named or name):
            raise BadRequest("name in URL does not match name in Binding object")
        if metadata.get("namespace") not in (None, "", namespace):
            raise BadRequest("namespace in URL does not match namespace in Binding object")
        if not dry_run(request.parameters("dryRun")):
            self._api.bind(str(name or named), namespace, to.get("name") or "")
        return object_response(CREATED, 201)

    def evict(self, request: Request, target: Target) -> Response:
        """Evict a pod, if its disruption budgets allow that."""
        if request.method != "POST":
            raise MethodNotAllowed(NOT_ALLOWED)
        document = bodies.read_document(request, "an Eviction")
        version = document.get("apiVersion") or "policy/v1"
        bodies.set_kind(
            document, "Eviction", version if version == "policy/v1beta1" else "policy/v1"
        )
        metadata = bodies.object_field(document, "metadata")
        if metadata.get("name") not in (None, "", target.info.name):
            raise BadRequest("name in URL does not match name in Eviction object")
        options = delete_query(request, document.get("deleteOptions"))
        status = self._api.evict(
            target.info.name,
            target.namespace,
            grace_period_seconds=options.grace_seconds,
            uid=options.uid,
            resource_version=options.revision,
            dry_run=options.dry_run,
        )
        return object_response({**status, "code": 201}, 201)

    def exec(self, request: Request, target: Target) -> Response:
        """Run a command in a container; the output comes over a websocket."""
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(NOT_ALLOWED)
        api, command = self._api, request.parameters("command")
        pod = api.get(POD, target.info.name, target.namespace)
        if not command or not command[0]:
            raise BadRequest("you must specify at least one command for the container")
        where = (target.info.name, target.namespace)
        container = check_container(pod, request.parameter("container"))

        def run(words: Sequence[str], stdin: str) -> CommandResult:
            return api.exec(where[0], words, where[1], container=container, stdin=stdin)

        if not is_websocket(request):
            run(["true"], "")  # what cannot run at all is refused for that reason
            raise _websockets_only("exec")
        head = handshake(request)
        if not flag(request, "stdin"):
            result = run(command, "")
            return self._stream(head, lambda _: CommandSource(lambda _: result, api.clock))
        # What the container cannot run is refused before the websocket opens.
        run(["true"], "")
        terminal = flag(request, "tty")
        if is_shell(command):
            return self._stream(
                head,
                lambda connection: ShellSession(
                    run, command[0], FrameReader(connection), api.clock, terminal=terminal
                ),
                reads=True,
            )

        if copies_input(command) and not terminal:
            return self._stream(
                head, lambda connection: CopySource(FrameReader(connection)), reads=True
            )

        def make(connection: socket.socket) -> Source:
            return CommandSource(
                lambda stdin: run(command, stdin),
                api.clock,
                FrameReader(connection),
                terminal=terminal,
                waits=reads_input(command),
            )

        return self._stream(head, make, reads=True)

    def attach(self, request: Request, target: Target) -> Response:
        """Stream the output of a container, from its start to its end; it reads no input."""
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(NOT_ALLOWED)
        pod = self._api.get(POD, target.info.name, target.namespace)
        options = log_options(request, self._api.clock)
        check_container(pod, options.container)
        container = find_container(pod, options)
        if not is_websocket(request):
            raise _websockets_only("attach")
        notes = STDERR if flag(request, "stderr") else STDOUT  # a terminal has one channel

        def make(connection: socket.socket) -> Source:
            return AttachedFollower(self._api, pod, container, FrameReader(connection), notes)

        return self._stream(handshake(request), make, reads=True)

    def _stream(
        self, head: bytes, make: Callable[[socket.socket], Source], *, reads: bool = False
    ) -> Response:
        """Return the response that opens a websocket."""
        self.check_room()

        def hand_over(connection: socket.socket, _head: bytes, _resume: Resume | None) -> None:
            self._streams.open(connection, head, lambda _on_ready: make(connection), reads=reads)

        return Response(101, stream=hand_over)

    def reject(self, _request: Request, target: Target) -> Response:
        """Reject a subresource that needs a real process in the container."""
        feature = subresource_of(target)
        name = proxied_name(target.info.name) if feature == "proxy" else target.info.name
        self._api.get(target.kind.qualified_kind, name, target.namespace)
        raise GenericStatusError(501, UNSUPPORTED[feature])


def subresource_of(target: Target) -> str:
    """Return the name of a subresource; below ``proxy/`` is a path of the process.

    Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go (Subresource).
    """
    return target.info.subresource.partition("/")[0]


def proxied_name(name: str) -> str:
    """Return the name of an object without the scheme and port that a proxy's path may give.

    >>> [proxied_name(name) for name in ("web", "web:http", "https:web:443")]
    ['web', 'web', 'web']

    Source: k8s.io/apimachinery/pkg/util/net/port_split.go (SplitSchemeNamePort).
    """
    parts = name.split(":")
    return parts[1] if len(parts) == 3 else parts[0]


def _websockets_only(feature: str) -> GenericStatusError:
    """Return the refusal of SPDY, which kubectl used before 1.30 and falls back to since."""
    return GenericStatusError(
        501,
        f"{feature} is served over websockets only, which kubectl uses from 1.30 on; with an "
        "older kubectl, use kubectl logs and kubectl describe",
    )
