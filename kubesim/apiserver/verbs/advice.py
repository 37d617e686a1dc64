"""The warnings of a write that was accepted: what a client should know of its object.

A kind may warn of its objects. Webhooks and admission policies are kept but not called, so a write
that one would have judged is answered with a warning. While there is none of them, nothing is
computed.

Source: k8s.io/apiserver/pkg/registry/rest/create.go (WarningsOnCreate),
k8s.io/apiserver/pkg/warning.
"""

from __future__ import annotations

from kubesim.apiserver.admission.matching import PREFIX, AdmissionRequest, AdmissionRule, rules_of
from kubesim.apiserver.core import Core
from kubesim.apiserver.registry import Kind
from kubesim.objects.frozen import Document
from kubesim.objects.meta import labels_of, name_of, namespace_of

NOT_ENFORCED = "kubesim keeps this {kind} but does not enforce it: {what}"
SIMULATED_PARTLY = "kubesim simulates this {kind} in part: {what}"
NOT_CALLED = "{about} matches this {operation}, but kubesim does not call it yet"
NAMESPACES = "/registry/namespaces/"


class Advice:
    """The warnings of writes.

    Args:
        core: of the server.

    Attributes:
        rules: the webhooks and policies that match requests; () as long as there are none.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.rules: tuple[AdmissionRule, ...] = ()
        core.after_commit(PREFIX, self._reload)
        self._reload(None, None)

    def _reload(self, _before: Document | None, _after: Document | None) -> None:
        self.rules = rules_of(kv.value for kv in self._core.store.list(PREFIX).items)

    def add(self, kind: Kind, document: Document, operation: str, warnings: list[str]) -> None:
        """Add the warnings of a write.

        Args:
            kind: of the object.
            document: the object as it was stored; a deleted one as it was.
            operation: CREATE, UPDATE or DELETE.
            warnings: the list of the client.
        """
        if kind.kept and operation == "CREATE":
            warnings.append(NOT_ENFORCED.format(kind=kind.kind, what=kind.kept))
        if kind.partly and operation == "CREATE":
            warnings.append(SIMULATED_PARTLY.format(kind=kind.kind, what=kind.partly))
        if kind.warn is not None and operation != "DELETE":
            warnings.extend(kind.warn(document, operation == "CREATE"))
        if self.rules:
            request = self._request(kind, document, operation)
            warnings.extend(
                NOT_CALLED.format(about=rule.about, operation=operation)
                for rule in self.rules
                if rule.matches(request)
            )

    def _request(self, kind: Kind, document: Document, operation: str) -> AdmissionRequest:
        namespace, labels = namespace_of(document) if kind.namespaced else "", labels_of(document)
        of_namespace = labels if kind.qualified_kind == "Namespace" else None
        if namespace:
            kv = self._core.store.get(f"{NAMESPACES}{namespace}")
            of_namespace = {} if kv is None else labels_of(kv.value)
        versions = tuple(version for group, version in kind.group_versions() if group == kind.group)
        return AdmissionRequest(
            operation,
            kind.group,
            versions,
            kind.plural,
            namespace,
            name_of(document),
            labels,
            of_namespace,
        )
