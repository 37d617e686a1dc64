"""The tokens controller: fills Secrets that ask for a token of a service account.

A Secret of type ``kubernetes.io/service-account-token`` with the annotation
``kubernetes.io/service-account.name`` gets a token without an end, the server's certificate and the
namespace as its data. It is deleted with its account. `kubectl create token` gives tokens that
expire, which are safer.

Source: pkg/controller/serviceaccount/tokens_controller.go.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

from kubesim.apiserver import ResourceEvent
from kubesim.apiserver.bootstrap import CA_CERTIFICATE
from kubesim.client import Controller, Tools
from kubesim.errors import Conflict, NotFound
from kubesim.objects import meta
from kubesim.objects.wellknown import ACCOUNT_NAME, ACCOUNT_UID, TOKEN_SECRET

DATA = ("ca.crt", "namespace", "token")


class TokensController(Controller):
    """Fills and deletes the token Secrets of service accounts."""

    name = "legacy-serviceaccount-token-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._secrets = self.informer(
            "Secret", self._secret_changed, field_selector=f"type={TOKEN_SECRET}"
        )
        self._accounts = self.informer("ServiceAccount", self._account_changed)

    def _secret_changed(self, event: ResourceEvent[dict[str, object]]) -> Iterable[str]:
        return () if event.type == "DELETED" else (meta.key_of(event.object),)

    def _account_changed(self, event: ResourceEvent[dict[str, object]]) -> Iterable[str]:
        namespace, name = meta.namespace_of(event.object), meta.name_of(event.object)
        for secret in self._secrets.list():
            if meta.namespace_of(secret) == namespace:
                if meta.annotations_of(secret).get(ACCOUNT_NAME) == name:
                    yield meta.key_of(secret)

    def reconcile(self, key: str) -> None:
        """Fill a Secret whose account exists; delete one whose account is gone."""
        secret = self._secrets.get(key)
        if secret is None or meta.is_terminating(secret):
            return
        namespace, annotations = meta.namespace_of(secret), meta.annotations_of(secret)
        account = self.api.peek("ServiceAccount", str(annotations.get(ACCOUNT_NAME)), namespace)
        uid = annotations.get(ACCOUNT_UID)
        if account is None or uid not in (None, "", meta.uid_of(account)):
            self._delete(secret, namespace)
            return
        data = secret.get("data") or {}
        if uid and all(data.get(name) for name in DATA):
            return
        values = {
            "ca.crt": CA_CERTIFICATE,
            "namespace": namespace,
            "token": self.api.tokens.issue_for_secret(account, secret),
        }
        encoded = {name: b64encode(value.encode()).decode() for name, value in values.items()}
        metadata = {
            **secret["metadata"],
            "annotations": {**annotations, ACCOUNT_UID: meta.uid_of(account)},
        }
        self.api.update({**secret, "metadata": metadata, "data": {**encoded, **data}})
        self.counts["filled"] += 1

    def _delete(self, secret: dict[str, object], namespace: str) -> None:
        try:
            self.api.delete("Secret", meta.name_of(secret), namespace, uid=meta.uid_of(secret))
            self.counts["deleted"] += 1
        except (NotFound, Conflict):
            return  # somebody else was faster
