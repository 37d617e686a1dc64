"""The file by which kubectl and other clients find a server.

>>> print(kubeconfig_text("http://127.0.0.1:8080").splitlines()[4])
    server: "http://127.0.0.1:8080"

There is always an entry for a user, even an empty one: some clients stop without.

Source: k8s.io/client-go/tools/clientcmd/api/v1 (Config).
"""

from __future__ import annotations

import json
from base64 import b64encode

NAME = "kubesim"


def kubeconfig_text(
    server: str, *, token: str | None = None, authority: str | None = None, user: str = NAME
) -> str:
    """A kubeconfig as YAML.

    Args:
        server: its address: ``http://127.0.0.1:8080``.
        token: bearer token of the user; None: nobody is asked for one.
        authority: PEM text of the certificate that the server shows; None: plain HTTP.
        user: how the user is called in the file.
    """
    said = json.dumps  # a JSON string is a YAML string
    cluster = f"    server: {said(server)}\n"
    if authority is not None:
        cluster += f"    certificate-authority-data: {b64encode(authority.encode()).decode()}\n"
    entry = f"  user:\n    token: {said(token)}\n" if token else "  user: {}\n"
    return (
        "apiVersion: v1\nkind: Config\nclusters:\n"
        f"- cluster:\n{cluster}  name: {NAME}\n"
        f"contexts:\n- context:\n    cluster: {NAME}\n    user: {said(user)}\n"
        f"    namespace: default\n  name: {NAME}\ncurrent-context: {NAME}\n"
        f"users:\n- name: {said(user)}\n{entry}"
    )
