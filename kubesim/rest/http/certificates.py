"""A self-signed certificate for a server that speaks TLS, made by the program ``openssl``.

Clients trust the certificate because it is part of their kubeconfig. It is valid for 30 days; its
key is kept in the memory of the process only.

Source: the role of k8s.io/apiserver/pkg/server/options/serving.go (--cert-dir, self-signed).
"""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from kubesim.errors import BadRequest

VALID_DAYS = 30
OPENSSL_TIMEOUT_SECONDS = 30.0
NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"


class Certificate:
    """A new self-signed certificate.

    Args:
        host: the name or address of the server, in addition to those of loopback.

    Attributes:
        context: for the server's sockets.
        text: the certificate as PEM, for clients to trust.

    Raises:
        BadRequest: ``openssl`` is missing or failed; the message says what to do.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        program = which("openssl")
        if program is None:
            raise BadRequest(
                "TLS needs the program openssl, which is not installed",
                hint="install openssl, or serve plain HTTP: kubectl accepts http:// as well",
            )
        names = NAMES if host in NAMES or host == "localhost" else f"{NAMES},{_alternative(host)}"
        with TemporaryDirectory(prefix="kubesim-") as folder:
            key, certificate = Path(folder, "key.pem"), Path(folder, "cert.pem")
            command = [program, "req", "-x509", "-nodes", "-days", str(VALID_DAYS)]
            command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
            command += ["-subj", "/CN=kubesim", "-addext", f"subjectAltName={names}"]
            command += ["-keyout", str(key), "-out", str(certificate)]
            try:
                subprocess.run(
                    command, check=True, capture_output=True, timeout=OPENSSL_TIMEOUT_SECONDS
                )
            except (subprocess.SubprocessError, OSError) as error:
                raise BadRequest(f"openssl failed to make a certificate: {error}") from error
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate, key)
            self.text = certificate.read_text()


def _alternative(host: str) -> str:
    """Return a host as an entry of subjectAltName."""
    numeric = ":" in host or host.replace(".", "").isdigit()
    return f"{'IP' if numeric else 'DNS'}:{host}"
