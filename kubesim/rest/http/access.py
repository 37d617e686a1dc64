"""Who may talk to the server: Host, Origin and token.

A server on loopback is within reach of every web page that its user opens: a page can post to it
across sites, and with a name that it rebinds to 127.0.0.1 it can even read. So the Host must be a
loopback name (against rebinding) and the Origin, where there is one, a loopback page (against posts
across sites); the two checks stop different attacks, and both are needed.

Source: the same rule in `kubectl proxy` (--accept-hosts) and in Jupyter Server.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from kubesim.rest.http.wire import Request, RequestRejected

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PORT = re.compile(r":[0-9]{1,5}", re.ASCII)


class Access:
    """The rules of one server.

    Args:
        hosts: further names under which it may be asked for, without port.
        origins: further origins, in full: ``https://hub.example``.
        token: a bearer token that every request must carry; None: none.
    """

    def __init__(
        self, hosts: Iterable[str] = (), origins: Iterable[str] = (), token: str | None = None
    ) -> None:
        self._hosts = LOOPBACK | {host.lower() for host in hosts}
        self._origins = frozenset(origins)
        self._token = token
        self._seen: dict[str, bool] = {}  # Host texts that were judged before

    def check(self, request: Request) -> str:
        """Refuse strangers; the Origin to allow in the answer, "" if there was none.

        Raises:
            RequestRejected: 401 or 403.
        """
        host = request.headers.get("host", "127.0.0.1")
        known = self._seen.get(host)
        if known is None:
            known = self._host_allowed(host)
            if len(self._seen) < 1_000:
                self._seen[host] = known
        if not known:
            raise RequestRejected(
                403, "this Host is not served here; use http://127.0.0.1 or localhost"
            )
        origin = request.headers.get("origin", "")
        if origin and not self._origin_allowed(origin):
            raise RequestRejected(403, "requests from this Origin are refused")
        if self._token is not None:
            said = request.headers.get("authorization", "")
            if not hmac.compare_digest(said.encode(), f"Bearer {self._token}".encode()):
                headers = {"WWW-Authenticate": "Bearer"}
                raise RequestRejected(
                    401, "send the header Authorization: Bearer TOKEN", headers=headers
                )
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
