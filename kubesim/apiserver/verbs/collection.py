"""The verb that deletes many: deletecollection.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (DeleteCollection).
"""

from __future__ import annotations

from kubesim.apiserver.base import NOT_ALLOWED
from kubesim.apiserver.verbs.delete import DeleteVerbs
from kubesim.apiserver.verbs.read import ReadVerbs
from kubesim.errors import Conflict, MethodNotAllowed, NotFound
from kubesim.objects.frozen import Document
from kubesim.objects.meta import name_of, namespace_of, uid_of


class CollectionVerb(ReadVerbs, DeleteVerbs):
    """delete_collection."""

    def delete_collection(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        dry_run: bool = False,
    ) -> Document:
        """Delete each object that the selectors match, one after the other.

        Args:
            kind: any name of the kind.
            namespace: None: of all namespaces.
            label_selector, field_selector: which; none given: all.
            grace_period_seconds, propagation_policy, dry_run: as for `delete`.

        Returns:
            The list of the objects as they were found.

        Raises:
            MethodNotAllowed: objects of that kind are deleted one by one (namespaces).
            BadRequest: a selector that makes no sense.
        """
        found = self.registry.find(kind)
        if "deletecollection" not in found.verbs:
            raise MethodNotAllowed(NOT_ALLOWED)
        listed = self.list(
            kind, namespace, label_selector=label_selector, field_selector=field_selector
        )
        for document in listed["items"]:
            try:
                self.delete(
                    found.kind,
                    name_of(document),
                    namespace_of(document) or None,
                    uid=uid_of(document),
                    grace_period_seconds=grace_period_seconds,
                    propagation_policy=propagation_policy,
                    dry_run=dry_run,
                )
            except (NotFound, Conflict):
                continue  # somebody else deleted it meanwhile, and perhaps made another one
        return listed
