"""The root CA publisher: a ConfigMap with the certificate of the API server in each namespace.

Pods mount it beside their token. Ours publishes the certificate of a key that was thrown away: pods
open no connection, and a server with TLS makes its own certificate at each start.

Source: pkg/controller/certificates/rootcacertpublisher/publisher.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubesim.apiserver.bootstrap import ROOT_CA_ANNOTATIONS, ROOT_CA_DATA
from kubesim.controllers.serviceaccount.pernamespace import Manifest, PerNamespaceController
from kubesim.objects.meta import annotations_of, metadata_of
from kubesim.objects.wellknown import ROOT_CA


class RootCAPublisher(PerNamespaceController):
    """Creates the ConfigMap kube-root-ca.crt in each namespace, and restores its data."""

    name = "root-ca-certificate-publisher-controller"
    kind = "ConfigMap"
    object_name = ROOT_CA

    def desired(self, existing: Mapping[str, object] | None) -> Manifest | None:
        """Return the ConfigMap with the certificate, with other metadata as it is."""
        if existing is None:
            metadata: Manifest = {"name": ROOT_CA, "annotations": dict(ROOT_CA_ANNOTATIONS)}
            data = dict(ROOT_CA_DATA)
            return {"kind": self.kind, "apiVersion": "v1", "metadata": metadata, "data": data}
        if existing.get("data") == ROOT_CA_DATA and annotations_of(existing):
            return None
        metadata = dict(metadata_of(existing))
        metadata["annotations"] = {**annotations_of(existing), **ROOT_CA_ANNOTATIONS}
        return {**existing, "metadata": metadata, "data": dict(ROOT_CA_DATA)}
