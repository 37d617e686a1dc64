"""The service account controller: an account `default` in each namespace.

Source: pkg/controller/serviceaccount/serviceaccounts_controller.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubesim.controllers.serviceaccount.pernamespace import Manifest, PerNamespaceController
from kubesim.objects.wellknown import DEFAULT_ACCOUNT


class ServiceAccountController(PerNamespaceController):
    """Creates the account `default` in each namespace, also if somebody deletes it."""

    name = "serviceaccount-controller"
    kind = "ServiceAccount"
    object_name = DEFAULT_ACCOUNT

    def desired(self, existing: Mapping[str, object] | None) -> Manifest | None:
        """Return an empty account if there is none; one that exists is left alone."""
        if existing is not None:
            return None
        return {"kind": self.kind, "apiVersion": "v1", "metadata": {"name": self.object_name}}
