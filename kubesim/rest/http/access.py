"""Access rules of the HTTP server: Host, Origin and bearer token.

A server on loopback can be reached by every web page that its user opens: a page can send it a POST
across sites, and with a host name that it rebinds to 127.0.0.1 a page can even read the responses.
So the Host must be a loopback name (against DNS rebinding), and the Origin, if there is one, a
loopback page (against cross-site requests). The two checks stop different attacks; both are needed.

Source: the same rules in `kubectl proxy` (--accept-hosts) and in Jupyter Server.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from kubesim.rest.http.wire import Request, RequestRejected

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST_CACHE_SIZE = 1_000
_PORT = re.compile(r":[0-9]{1,5}", re.ASCII)


class Access:
    """The access rules of one server.

    Args:
        hosts: further names of the server, without port.
        origins: further allowed origins, in full: ``https://hub.example``.
        token: a bearer token that every request must carry; None: no token is needed.
    """

    def __init__(
        self, hosts: Iterable[str] = (), origins: Iterable[str] = (), token: str | None = None
    ) -> None:
        self._hosts = LOOPBACK | {host.lower() for host in hosts}
        self._origins = frozenset(origins)
        self._token = token
        self._host_cache: dict[str, bool] = {}  # Host header -> whether it is allowed

    def check(self, request: Request) -> str:
        """Return the Origin to allow in the response; "" if the request has none.

        Raises:
            RequestRejected: 401 or 403.
        """
        host = request.headers.get("host", "127.0.0.1")
        allowed = self._host_cache.get(host)
        if allowed is None:
            allowed = self._host_allowed(host)
            if len(self._host_cache) < HOST_CACHE_SIZE:
                self._host_cache[host] = allowed
        if not allowed:
            message = "this Host is not served here; use http://127.0.0.1 or localhost"
            raise RequestRejected(403, message)
        origin = request.headers.get("origin", "")
        if origin and not self._origin_allowed(origin):
            raise RequestRejected(403, "requests from this Origin are refused")
        if self._token is not None:
            authorization = request.headers.get("authorization", "")
            if not hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode()):
                message = "send the header Authorization: Bearer TOKEN"
                raise RequestRejected(401, message, headers={"WWW-Authenticate": "Bearer"})
        return origin

    def _host_allowed(self, host: str) -> bool:
        name = host.lower()
        bare = name if name.endswith("]") else name.rpartition(":")[0] or name
        rest = name[len(bare) :]
        return bare in self._hosts and (not rest or _PORT.fullmatch(rest) is not None)

    def _origin_allowed(self, origin: str) -> bool:
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            name = parts.hostname or ""
        except ValueError:
            return False
        plain = parts.scheme in ("http", "https") and parts.path in ("", "/")
        return plain and "@" not in parts.netloc and (name in LOOPBACK or name == "::1")
