"""The subresource approval of CertificateSigningRequests: a decision, and nothing else.

Source: pkg/registry/certificates/certificates/strategy.go (csrApprovalStrategy).
"""

from __future__ import annotations

from typing import Unpack

from kubesim.apiserver.clusterkinds.certificates import APPROVAL
from kubesim.apiserver.core import Core
from kubesim.apiserver.options import WriteOptions
from kubesim.apiserver.verbs.write import ObjectWriter
from kubesim.objects.frozen import Document, objects_in, thaw
from kubesim.objects.meta import name_of

TIMES = ("lastUpdateTime", "lastTransitionTime")


class Approvals:
    """Implements approve and deny, as `kubectl certificate` sends them.

    Args:
        core: of the server.
        writer: writes the status.
    """

    def __init__(self, core: Core, writer: ObjectWriter) -> None:
        self._core = core
        self._writer = writer

    def update_approval(
        self, document: Document, *, dry_run: bool = False, **options: Unpack[WriteOptions]
    ) -> Document:
        """Replace the conditions of a request; everything else in the document is ignored.

        Args:
            document: with metadata and status.conditions; it is not changed.
            dry_run: check everything, and store nothing.
            options: as for `create`.

        Raises:
            Conflict: the request has changed since the document's resourceVersion.
            Invalid: a condition breaks a rule, or a decision was removed.
            NotFound: there is no such request.
        """
        core, name = self._core, name_of(document)
        kv = core.store.get(APPROVAL.key("", name))
        if kv is None:
            raise core.not_found(APPROVAL, name)
        before: Document = kv.value.get("status") or {}
        conditions = thaw((document.get("status") or {}).get("conditions") or [])
        for condition in objects_in(conditions):
            for field in TIMES:
                if condition.get(field) is None:
                    condition[field] = core.clock.timestamp()
        decided = {**document, "status": {**before, "conditions": conditions}}
        return self._writer.replace_status(APPROVAL, decided, dry_run, options)
