"""The verbs on objects: HTTP on one side, `KubeAPI` on the other.

Nothing is decided here: each method reads what the client asks for, calls the verb of the same
name, and dresses the result.

Source: k8s.io/apiserver/pkg/endpoints/handlers/{get,create,update,patch,delete}.go.
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.core import NOT_ALLOWED
from kubesim.apiserver.options import WriteOptions
from kubesim.apiserver.watching import too_large
from kubesim.errors import BadRequest, Cause, FutureRevision, Invalid, MethodNotAllowed
from kubesim.objects.frozen import Document
from kubesim.objects.meta import key_of
from kubesim.objects.wellknown import META_GROUP
from kubesim.rest.http.router import Response
from kubesim.rest.http.wire import Request
from kubesim.rest.kube import bodies
from kubesim.rest.kube.bodies import Body, object_field
from kubesim.rest.kube.jsoncache import JSONCache
from kubesim.rest.kube.options import (
    DeleteOptions,
    ListOptions,
    delete_options,
    dry_run,
    flag,
    list_options,
)
from kubesim.rest.kube.requestinfo import Target
from kubesim.rest.kube.transform import Transformer, include_of
from kubesim.rest.serializer.negotiation import form_of
from kubesim.rest.serializer.responses import object_response, success_response

Warnings = list[str]
RETURNED = ("Pod", "Namespace", "Service")  # whose deletion answers with the object


class Verbs:
    """get, list, create, replace, patch, delete and deletecollection.

    Args:
        api: what they act on.
    """

    def __init__(self, api: KubeAPI) -> None:
        self._api = api
        self._kept = JSONCache(api.clock)

    # -- reading ---------------------------------------------------------------------------------

    def get(self, request: Request, target: Target) -> Response:
        """One object, its status or its scale."""
        info, kind = target.info, target.kind.kind
        if info.subresource == "scale":
            return object_response(self._api.get_scale(kind, info.name, target.namespace))
        found = self._api.peek(kind, info.name, target.namespace)
        if found is None:
            raise self._api.not_found(target.kind, info.name, target.namespace)
        return Response(200, self._kept.one(self._transformer(request, target), found))

    def list(self, request: Request, target: Target, options: ListOptions) -> Response:
        """Objects of a kind, or a page of them."""
        revision: str | None = options.revision
        if revision and revision != "0" and options.match != "Exact":
            # "Not older than": now will do, if now is late enough. Pages were exact from the start.
            if not options.limit or options.match:
                revision = self._not_older(target, revision)
        if target.kind.kind == "PodMetrics" and options.labels:
            usage = self._usage(target, options.labels)
            return Response(200, self._kept.many(self._transformer(request, target), usage))
        listed = self._api.list_shared(
            target.kind.kind,
            target.namespace,
            label_selector=options.labels,
            field_selector=options.fields,
            resource_version=revision,
            limit=options.limit,
            continue_token=options.token,
        )
        return Response(200, self._kept.many(self._transformer(request, target), listed))

    def _usage(self, target: Target, labels: str) -> Document:
        """The usage of pods by their labels: samples have none, so the pods are asked."""
        pods = self._api.list("Pod", target.namespace, label_selector=labels)["items"]
        by_key = {key_of(pod): pod["metadata"].get("labels", {}) for pod in pods}
        listed = self._api.list(target.kind.kind, target.namespace)
        found = [item for item in listed["items"] if key_of(item) in by_key]
        for item in found:
            item["metadata"]["labels"] = by_key[key_of(item)]
        return {**listed, "items": found}

    def _not_older(self, target: Target, revision: str) -> str:
        """Now, if it is not before a revision; else the revision, for the API server to refuse."""
        if not (revision.isascii() and revision.isdigit() and len(revision) <= 18):
            return revision
        current = self._api.store.revision
        if int(revision) > current:
            raise too_large(FutureRevision(int(revision), current), target.kind.resource)
        return "0"

    # -- writing ---------------------------------------------------------------------------------

    def create(self, request: Request, target: Target) -> Response:
        """A new object: 201."""
        if target.info.name:
            raise MethodNotAllowed(NOT_ALLOWED)
        body = bodies.read_object(request, target)
        asked, told = self._asked(request, body)
        made = self._api.create(
            body.document,
            namespace=target.namespace,
            dry_run=dry_run(request.parameters("dryRun")),
            **asked,
        )
        return object_response(self._transformer(request, target).one(made), 201, told)

    def replace(self, request: Request, target: Target) -> Response:
        """An object anew, or its status, its scale, the finalizers of a namespace."""
        if not target.info.name:
            raise MethodNotAllowed(NOT_ALLOWED)
        body = bodies.read_object(request, target)
        dry = dry_run(request.parameters("dryRun"))
        if target.info.subresource == "scale":
            manager = self._asked(request, body)[0]["field_manager"]
            return object_response(self._scale(target, body.document, dry, manager))
        asked, told = self._asked(request, body)
        document = body.document
        if target.info.subresource == "status":
            changed = self._api.update_status(document, dry_run=dry, **asked)
        elif target.info.subresource == "finalize":
            changed = self._api.finalize(document, dry_run=dry)
        else:
            changed = self._api.update(document, dry_run=dry, **asked)
        return object_response(self._transformer(request, target).one(changed), 200, told)

    def _scale(self, target: Target, document: Document, dry: bool, manager: str) -> Document:
        spec, metadata = object_field(document, "spec"), document["metadata"]
        return self._api.update_scale(
            target.kind.kind,
            target.info.name,
            target.namespace,
            replicas=spec.get("replicas", 0),
            resource_version=metadata.get("resourceVersion"),
            dry_run=dry,
            field_manager=manager,
        )

    def patch(self, request: Request, target: Target) -> Response:
        """Parts of an object; with server-side apply, also a new one: 201."""
        info, kind = target.info, target.kind
        if not info.name:
            raise MethodNotAllowed(NOT_ALLOWED)
        how, body = bodies.read_patch(request, target, custom=kind.custom)
        asked, told = self._asked(request, body)
        dry = dry_run(request.parameters("dryRun"))
        if how == "apply":
            return self._apply(request, target, body, asked, told, dry)
        changed = self._api.patch(
            kind.kind,
            info.name,
            body.document,
            target.namespace,
            patch_type=how,
            subresource=info.subresource,
            dry_run=dry,
            api_version="" if info.subresource == "scale" else target.api_version,
            **asked,
        )
        if info.subresource == "scale":
            return object_response(changed, 200, told)
        return object_response(self._transformer(request, target).one(changed), 200, told)

    def _apply(
        self,
        request: Request,
        target: Target,
        body: Body,
        asked: WriteOptions,
        told: Warnings,
        dry: bool,
    ) -> Response:
        """Server-side apply."""
        document = body.document
        if not request.parameter("fieldManager"):
            cause = Cause(
                "fieldManager", "FieldValueRequired", "Required value: is required for apply patch"
            )
            said = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: ' + cause.message
            raise Invalid(said, kind="PatchOptions", group=META_GROUP, causes=[cause])
        if not isinstance(document, dict):
            raise BadRequest("an apply patch is an object")
        bodies.set_kind(document, *bodies.expected_kind(target))
        before = self._api.peek(target.kind.kind, target.info.name, target.namespace)
        done = self._api.apply(
            document,
            name=target.info.name,
            namespace=target.namespace,
            subresource=target.info.subresource,
            force=flag(request, "force"),
            dry_run=dry,
            **asked,
        )
        shaped = self._transformer(request, target).one(done)
        return object_response(shaped, 201 if before is None else 200, told)

    # -- deleting --------------------------------------------------------------------------------

    def delete(self, request: Request, target: Target) -> Response:
        """An object: the object itself while it goes, else a Status."""
        options = delete_options(request, bodies.read_options(request))
        kind, name = target.kind, target.info.name
        last = self._api.delete(kind.kind, name, target.namespace, **_how(options))
        if kind.kind in RETURNED or "deletionTimestamp" in last["metadata"]:
            return object_response(self._transformer(request, target).one(last))
        details = {"name": name, "kind": kind.plural, "uid": last["metadata"].get("uid", "")}
        if kind.group:
            details["group"] = kind.group
        return success_response(details)

    def delete_collection(self, request: Request, target: Target) -> Response:
        """All objects of a kind that selectors match."""
        options, deletion = (
            list_options(request),
            delete_options(request, bodies.read_options(request)),
        )
        deleted = self._api.delete_collection(
            target.kind.kind,
            target.namespace,
            label_selector=options.labels,
            field_selector=options.fields,
            **{k: v for k, v in _how(deletion).items() if k not in ("uid", "resource_version")},
        )
        return object_response(deleted)

    # -- inside ----------------------------------------------------------------------------------

    def _transformer(self, request: Request, target: Target) -> Transformer:
        return transformer_for(self._api, request, target)

    @staticmethod
    def _asked(request: Request, body: Body) -> tuple[WriteOptions, Warnings]:
        """What the client asks of a write, and where its warnings will be."""
        told: Warnings = []
        agent = request.headers.get("user-agent", "").partition("/")[0]
        asked: WriteOptions = {
            "field_manager": request.parameter("fieldManager") or agent[:128] or "unknown",
            "field_validation": request.parameter("fieldValidation") or "Warn",
            "warnings": told,
            "duplicates": body.duplicates,
        }
        return asked, told


def transformer_for(api: KubeAPI, request: Request, target: Target) -> Transformer:
    """What dresses objects as a client asked for them."""
    form = form_of(request.headers.get("accept", ""))
    return Transformer(form, target, api.clock, include_of(request))


def _how(options: DeleteOptions) -> dict[str, Any]:
    """The options of a deletion as `KubeAPI.delete` calls them."""
    return {
        "grace_period_seconds": options.grace_seconds,
        "uid": options.uid,
        "resource_version": options.revision,
        "propagation_policy": options.policy or None,
        "dry_run": options.dry_run,
    }
