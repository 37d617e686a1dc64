"""A certificate for a server that speaks TLS: made by the program ``openssl``, signed by itself.

Clients trust it because it stands in the kubeconfig; nobody else does. It lives for thirty days,
and its key nowhere but in the memory of the process.

Source: the role of k8s.io/apiserver/pkg/server/options/serving.go (--cert-dir, self-signed).
"""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from kubesim.errors import BadRequest

DAYS = 30
PATIENCE_SECONDS = 30.0
NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"


class Certificate:
    """A certificate that was just made.

    Attributes:
        context: for the server's sockets.
        text: the certificate as PEM, for clients to trust.

    Raises:
        BadRequest: there is no ``openssl``, or it failed; the message says what to do.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        program = which("openssl")
        if program is None:
            raise BadRequest(
                "TLS needs the program openssl to make a certificate, and there is none",
                hint="install openssl, or serve plain HTTP: kubectl takes http:// as well",
            )
        names = NAMES if host in NAMES or host == "localhost" else f"{NAMES},{_alternative(host)}"
        with TemporaryDirectory(prefix="kubesim-") as folder:
            key, certificate = Path(folder, "key.pem"), Path(folder, "cert.pem")
            command = [program, "req", "-x509", "-nodes", "-days", str(DAYS), "-newkey", "ec"]
            command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=kubesim"]
            command += ["-addext", f"subjectAltName={names}"]
            command += ["-keyout", str(key), "-out", str(certificate)]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
            except (subprocess.SubprocessError, OSError) as error:
                raise BadRequest(f"openssl could not make a certificate: {error}") from error
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate, key)
            self.text = certificate.read_text()


def _alternative(host: str) -> str:
    numeric = ":" in host or host.replace(".", "").isdigit()
    return f"{'IP' if numeric else 'DNS'}:{host}"
