"""Health checks: /livez, /readyz and /healthz, as one word or check by check.

>>> print(health_text("livez", verbose=True, excluded=["log"]))
[+]ping ok
[+]log excluded: ok
[+]etcd ok
[+]poststarthook/crd-informer-synced ok
[+]poststarthook/start-system-namespaces-controller ok
[+]poststarthook/scheduling/bootstrap-system-priority-classes ok
livez check passed
<BLANKLINE>

The checks are those of kube-apiserver whose part kubesim has. A server that answers has passed them
all: what they check is done before it accepts connections.

Source: k8s.io/apiserver/pkg/server/healthz/healthz.go (handleRootHealth).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kubesim.errors import NotFound
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request

PLAIN = "text/plain; charset=utf-8"
CHECKS = (
    "ping",
    "log",
    "etcd",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
)
READY_CHECKS = ("ping", "log", "etcd", "etcd-readiness", "informer-sync", *CHECKS[3:], "shutdown")


def checks_of(endpoint: str) -> tuple[str, ...]:
    """Return the names of the checks of ``livez``, ``readyz`` or ``healthz``."""
    return READY_CHECKS if endpoint == "readyz" else CHECKS


def health_text(endpoint: str, *, verbose: bool, excluded: Collection[str] = ()) -> str:
    """Return the answer of a health endpoint.

    Args:
        endpoint: livez, readyz or healthz.
        verbose: list the checks.
        excluded: names of checks that the client leaves out.
    """
    if not verbose:
        return "ok"
    lines = [
        f"[+]{name} excluded: ok" if name in excluded else f"[+]{name} ok"
        for name in checks_of(endpoint)
    ]
    unknown = [name for name in excluded if name not in checks_of(endpoint)]
    if unknown:
        listed = ", ".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {listed}")
    return "\n".join([*lines, f"{endpoint} check passed", ""])


def serve_health(request: Request, segments: Sequence[str]) -> Response:
    """Serve /livez, /readyz, /healthz, or one check below them.

    Args:
        request: its parameters `verbose` and `exclude` are read.
        segments: of the path.

    Raises:
        NotFound: there is no such check.
    """
    endpoint, check = segments[0], "/".join(segments[1:])
    if check:
        if check not in checks_of(endpoint):
            raise NotFound("the server could not find the requested resource")
        return Response(200, b"ok", PLAIN)
    verbose = bool(request.parameters("verbose"))  # `?verbose` is enough
    excluded = request.parameters("exclude")
    return Response(200, health_text(endpoint, verbose=verbose, excluded=excluded).encode(), PLAIN)
