"""Kubeconfig: the file that tells kubectl and other clients where the server is.

>>> print(kubeconfig_text("http://127.0.0.1:8080").splitlines()[4])
    server: "http://127.0.0.1:8080"

There is always a user entry, if only an empty one: some clients (lightkube) fail without it. Over
TLS it always holds a token, since kubectl asks for a user name and a password otherwise. Over plain
HTTP the file says `insecure-skip-tls-verify`: without it the JavaScript client refuses the server.

Source: k8s.io/client-go/tools/clientcmd/api/v1 (Config).
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from pathlib import Path

NAME = "kubesim"
OWNER_ONLY = 0o600
UNCHECKED_TOKEN = "not-checked"  # of a TLS server that requires none


def write_kubeconfig(path: str | Path, text: str) -> None:
    """Write a kubeconfig that its owner alone can read, also over an existing file.

    Source: k8s.io/client-go/tools/clientcmd/loader.go (WriteToFile), which leaves an existing mode.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, OWNER_ONLY)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.chmod(path, OWNER_ONLY)  # before the secret is in it
        file.truncate()
        file.write(text)


def kubeconfig_text(
    server: str, *, token: str | None = None, authority: str | None = None, user: str = NAME
) -> str:
    """Return a kubeconfig as YAML.

    Args:
        server: the server's URL: ``http://127.0.0.1:8080``.
        token: bearer token of the user; None: the server needs none.
        authority: the server's certificate as PEM; None: plain HTTP.
        user: name of the user entry.
    """
    quote = json.dumps  # a JSON string is a YAML string
    cluster = f"    server: {quote(server)}\n"
    if authority is not None:
        cluster += f"    certificate-authority-data: {b64encode(authority.encode()).decode()}\n"
    else:
        cluster += "    insecure-skip-tls-verify: true\n"
    token = token or (UNCHECKED_TOKEN if authority is not None else None)
    entry = f"  user:\n    token: {quote(token)}\n" if token else "  user: {}\n"
    return (
        "apiVersion: v1\nkind: Config\nclusters:\n"
        f"- cluster:\n{cluster}  name: {NAME}\n"
        f"contexts:\n- context:\n    cluster: {NAME}\n    user: {quote(user)}\n"
        f"    namespace: default\n  name: {NAME}\ncurrent-context: {NAME}\n"
        f"users:\n- name: {quote(user)}\n{entry}"
    )
