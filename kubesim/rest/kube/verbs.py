"""The verbs on objects: from an HTTP request to a call of `KubeAPI`, and back to a response.

No decision is made here: each method reads the options and the body of the request, calls the
KubeAPI method of the same name, and serializes the result.

Source: k8s.io/apiserver/pkg/endpoints/handlers/{get,create,update,patch,delete}.go.
"""

from __future__ import annotations

from typing import TypedDict

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.core import NOT_ALLOWED
from kubesim.apiserver.options import WriteOptions, parse_resource_version
from kubesim.apiserver.patch.converter import INTO_MAP, cannot_unmarshal
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.watching import too_large
from kubesim.errors import BadRequest, Cause, FutureRevision, Invalid, MethodNotAllowed
from kubesim.objects.frozen import Document
from kubesim.objects.meta import key_of
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request
from kubesim.rest.kube import bodies
from kubesim.rest.kube.bodies import Body, object_field
from kubesim.rest.kube.jsoncache import JSONCache
from kubesim.rest.kube.requestinfo import (
    DeleteQuery,
    ListQuery,
    RequestInfo,
    Target,
    delete_query,
    dry_run,
    flag,
    list_query,
)
from kubesim.rest.kube.response import Transformer, include_of, object_response, success_response
from kubesim.rest.serializer.negotiation import OBJECTS, form_of

Warnings = list[str]
NOT_AN_OBJECT = "error unmarshaling JSON: while decoding JSON: "  # of sigs.k8s.io/yaml
SCALE = Kind(  # its columns, for `kubectl get --subresource=scale`
    "Scale",
    "scales",
    group="autoscaling",
    columns=(
        {"name": "Desired", "type": "integer", "jsonPath": ".spec.replicas"},
        {"name": "Available", "type": "integer", "jsonPath": ".status.replicas"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ),
)
SCALE_INFO = RequestInfo(SCALE.group, SCALE.version, SCALE.plural)
RETURNED_KINDS = frozenset(  # DELETE responds with the object, not a Status: ReturnDeletedObject
    {
        "Namespace",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodTemplate",
        "ResourceQuota",
        "Service",
        "ServiceAccount",
        "DeviceClass.resource.k8s.io",
        "ResourceClaim.resource.k8s.io",
        "ResourceClaimTemplate.resource.k8s.io",
        "CSIDriver.storage.k8s.io",
        "CSINode.storage.k8s.io",
        "CSIStorageCapacity.storage.k8s.io",
        "StorageClass.storage.k8s.io",
        "VolumeAttachment.storage.k8s.io",
        "VolumeAttributesClass.storage.k8s.io",
    }
)


class CollectionDeleteArguments(TypedDict):
    """Keyword arguments of `KubeAPI.delete_collection` that a DeleteQuery maps to."""

    grace_period_seconds: int | None
    propagation_policy: str | None
    dry_run: bool


class DeleteArguments(CollectionDeleteArguments):
    """Keyword arguments of `KubeAPI.delete` that a DeleteQuery maps to."""

    uid: str | None
    resource_version: str | None


class Verbs:
    """get, list, create, replace, patch, delete and deletecollection.

    Args:
        api: the API server.
    """

    def __init__(self, api: KubeAPI) -> None:
        self._api = api
        self._cache = JSONCache(api.clock)

    # -- reading ---------------------------------------------------------------------------------

    def get(self, request: Request, target: Target) -> Response:
        """Get an object, its status or its scale, not older than the resourceVersion asked for."""
        info, kind = target.info, target.kind.qualified_kind
        if revision := request.parameter("resourceVersion"):
            self._not_older_than(target, revision)
        if info.subresource == "scale":
            scale = self._api.get_scale(kind, info.name, target.namespace)
            shown = self._transformer(request, target._replace(info=SCALE_INFO, kind=SCALE))
            return object_response(shown.one(scale))
        document = self._api.peek(kind, info.name, target.namespace)
        if document is None:
            raise self._api.not_found(target.kind, info.name, target.namespace)
        return Response(200, self._cache.one(self._transformer(request, target), document))

    def list(self, request: Request, target: Target, options: ListQuery) -> Response:
        """List the objects of a kind, or one page of them.

        Args:
            request: the request.
            target: the kind and the namespace.
            options: selectors, page, resourceVersion.
        """
        revision: str | None = options.revision
        if revision and revision != "0" and options.match != "Exact":
            # "Not older than": the current state will do. Later pages are exact, as the first was.
            if not options.limit or options.match:
                revision = self._not_older_than(target, revision)
        if target.kind.kind == "PodMetrics" and options.labels:
            usage = self._usage(target, options.labels)
            return Response(200, self._cache.many(self._transformer(request, target), usage))
        listed = self._api.list_shared(
            target.kind.qualified_kind,
            target.namespace,
            label_selector=options.labels,
            field_selector=options.fields,
            resource_version=revision,
            limit=options.limit,
            continue_token=options.token,
        )
        return Response(200, self._cache.many(self._transformer(request, target), listed))

    def _usage(self, target: Target, labels: str) -> Document:
        """List PodMetrics by the labels of their pods: samples have no labels."""
        pods = self._api.list("Pod", target.namespace, label_selector=labels)["items"]
        labels_by_key = {key_of(pod): pod["metadata"].get("labels", {}) for pod in pods}
        listed = self._api.list(target.kind.qualified_kind, target.namespace)
        items = [item for item in listed["items"] if key_of(item) in labels_by_key]
        for item in items:
            item["metadata"]["labels"] = labels_by_key[key_of(item)]
        return {**listed, "items": items}

    def _not_older_than(self, target: Target, revision: str) -> str:
        """Return "0" (current) for a past revision; raise BadRequest or Timeout for others."""
        number, current = parse_resource_version(revision), self._api.store.revision
        if number > current:
            raise too_large(FutureRevision(number, current), target.kind.resource)
        return "0"

    # -- writing ---------------------------------------------------------------------------------

    def create(self, request: Request, target: Target) -> Response:
        """Create an object: 201."""
        if target.info.name:
            raise MethodNotAllowed(NOT_ALLOWED)
        body = bodies.read_object(request, target)
        options, warnings = write_options(request, body.duplicates)
        created = self._api.create(
            body.document,
            namespace=target.namespace,
            dry_run=dry_run(request.parameters("dryRun")),
            **options,
        )
        return object_response(self._transformer(request, target).one(created), 201, warnings)

    def replace(self, request: Request, target: Target) -> Response:
        """Replace an object, its status or its scale, or the finalizers of a namespace."""
        if not target.info.name:
            raise MethodNotAllowed(NOT_ALLOWED)
        document, duplicates = bodies.read_object(request, target)
        dry = dry_run(request.parameters("dryRun"), "UpdateOptions")
        options, warnings = write_options(request, duplicates)
        if target.info.subresource == "scale":
            return object_response(self._scale(target, document, dry, options["field_manager"]))
        if target.info.subresource == "status":
            changed = self._api.update_status(document, dry_run=dry, **options)
        elif target.info.subresource == "approval":
            changed = self._api.update_approval(document, dry_run=dry, **options)
        elif target.info.subresource == "finalize":
            changed = self._api.finalize(document, dry_run=dry)
        else:
            changed = self._api.update(document, dry_run=dry, **options)
        return object_response(self._transformer(request, target).one(changed), 200, warnings)

    def _scale(self, target: Target, document: Document, dry: bool, manager: str) -> Document:
        spec, metadata = object_field(document, "spec"), document["metadata"]
        return self._api.update_scale(
            target.kind.qualified_kind,
            target.info.name,
            target.namespace,
            replicas=spec.get("replicas", 0),
            resource_version=metadata.get("resourceVersion"),
            dry_run=dry,
            field_manager=manager,
        )

    def patch(self, request: Request, target: Target) -> Response:
        """Patch an object, its status or its scale; a server-side apply may create it: 201."""
        info, kind = target.info, target.kind
        if not info.name:
            raise MethodNotAllowed(NOT_ALLOWED)
        patch_type, body = bodies.read_patch(request, target, custom=kind.custom)
        options, warnings = write_options(request, body.duplicates)
        dry = dry_run(request.parameters("dryRun"), "PatchOptions")
        if patch_type == "apply":
            return self._apply(request, target, body, options, warnings, dry)
        changed = self._api.patch(
            kind.qualified_kind,
            info.name,
            body.document,
            target.namespace,
            patch_type=patch_type,
            subresource=info.subresource,
            dry_run=dry,
            api_version="" if info.subresource == "scale" else target.api_version,
            **options,
        )
        if info.subresource == "scale":
            return object_response(changed, 200, warnings)
        return object_response(self._transformer(request, target).one(changed), 200, warnings)

    def _apply(
        self,
        request: Request,
        target: Target,
        body: Body,
        options: WriteOptions,
        warnings: Warnings,
        dry: bool,
    ) -> Response:
        """Server-side apply."""
        document = body.document
        if not request.parameter("fieldManager"):
            cause = Cause(
                "fieldManager", "FieldValueRequired", "Required value: is required for apply patch"
            )
            message = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: ' + cause.message
            raise Invalid(message, kind="PatchOptions", group="meta.k8s.io", causes=[cause])
        if not isinstance(document, dict):
            fault = cannot_unmarshal(document, INTO_MAP)
            raise BadRequest(f"error decoding YAML: {NOT_AN_OBJECT}{fault}")
        bodies.check_applied_kind(document, *bodies.expected_kind(target))
        key = target.kind.key(target.info.namespace, target.info.name)
        before = self._api.store.get(key)
        applied = self._api.apply(
            document,
            name=target.info.name,
            namespace=target.namespace,
            subresource=target.info.subresource,
            force=flag(request, "force"),
            dry_run=dry,
            **options,
        )
        status = 201 if before is None else 200
        return object_response(self._transformer(request, target).one(applied), status, warnings)

    # -- deleting --------------------------------------------------------------------------------

    def delete(self, request: Request, target: Target) -> Response:
        """Delete an object; the response is the object while it terminates, else a Status.

        The objects of some kinds are always returned.
        Source: pkg/registry/*/*/storage/storage.go (ReturnDeletedObject).
        """
        options = delete_query(request, bodies.read_options(request))
        kind, name = target.kind, target.info.name
        warnings: Warnings = []
        last = self._api.delete(
            kind.qualified_kind, name, target.namespace, warnings=warnings, **_deletion(options)
        )
        if kind.qualified_kind in RETURNED_KINDS or "deletionTimestamp" in last["metadata"]:
            return object_response(self._transformer(request, target).one(last), 200, warnings)
        details = {"name": name, "kind": kind.plural, "uid": last["metadata"].get("uid", "")}
        if kind.group:
            details["group"] = kind.group
        return success_response(details, 200, warnings)

    def delete_collection(self, request: Request, target: Target) -> Response:
        """Delete all objects of a kind that match the selectors."""
        options = list_query(request)
        deletion = delete_query(request, bodies.read_options(request))
        warnings: Warnings = []
        deleted = self._api.delete_collection(
            target.kind.qualified_kind,
            target.namespace,
            label_selector=options.labels,
            field_selector=options.fields,
            warnings=warnings,
            **_collection_deletion(deletion),
        )
        return object_response(deleted, 200, warnings)

    def _transformer(self, request: Request, target: Target) -> Transformer:
        return transformer_for(self._api, request, target)


def write_options(request: Request, duplicates: list[str]) -> tuple[WriteOptions, Warnings]:
    """Return the options of a write, and the list to which the write adds its warnings."""
    warnings: Warnings = []
    agent = request.headers.get("user-agent", "").partition("/")[0]
    options: WriteOptions = {
        "field_manager": request.parameter("fieldManager") or agent[:128] or "unknown",
        "field_validation": request.parameter("fieldValidation") or "Warn",
        "warnings": warnings,
        "duplicates": duplicates,
    }
    return options, warnings


def transformer_for(api: KubeAPI, request: Request, target: Target) -> Transformer:
    """Return the transformer for the representation that a request accepts.

    Args:
        api: for its clock.
        request: its Accept header and the parameter `includeObject`.
        target: kind and version of the objects.
    """
    accept = request.headers.get("accept", "")
    form = form_of(accept) if accept else OBJECTS
    return Transformer(form, target, api.clock, include_of(request))


def _deletion(options: DeleteQuery) -> DeleteArguments:
    return {
        **_collection_deletion(options),
        "uid": options.uid,
        "resource_version": options.revision,
    }


def _collection_deletion(options: DeleteQuery) -> CollectionDeleteArguments:
    return {
        "grace_period_seconds": options.grace_seconds,
        "propagation_policy": options.policy or None,
        "dry_run": options.dry_run,
    }
