"""Group certificates.k8s.io: CertificateSigningRequest.

Requests can be approved and denied (`kubectl certificate`). No signer issues certificates: a client
may write `status.certificate` itself, as a signer does.

Source: pkg/apis/certificates/validation/validation.go, pkg/apis/certificates/helpers.go,
pkg/registry/certificates/certificates/strategy.go.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace

from kubesim.apiserver.podvalidation.formats import at_most
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.validation import LABEL_RULE, SUBDOMAIN_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import MAX_NAME, valid_dns1123_label, valid_dns1123_subdomain

USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
LEAST_SECONDS = 600
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
SIGNER_RULE = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
PEM_RULE = "PEM block type must be CERTIFICATE REQUEST"
CERTIFICATE_RULE = "must contain at least one CERTIFICATE PEM block"
EXCLUSIVE = "Approved and Denied conditions are mutually exclusive"
DECISIONS = ("Approved", "Denied")
FINAL = (*DECISIONS, "Failed")  # conditions that are True or absent, and are never removed
STATUSES = ("False", "True", "Unknown")
OF_THE_USER = ("username", "uid", "groups", "extra")


def admit_request(api: ServerView, request: Document, old: Document | None) -> None:
    """Set the user of a new request, and keep the spec of a stored one.

    A cluster without users has one administrator. Changes of the spec are ignored, as upstream.

    Args:
        api: what an admission hook may use of the server.
        request: the CertificateSigningRequest; it is changed in place.
        old: the stored one; None at creation.
    """
    if old is not None:
        request["spec"] = old.get("spec")
        return
    fill(request, "spec", {})
    if isinstance(request["spec"], dict):
        for field in OF_THE_USER:
            request["spec"].pop(field, None)
        groups = ["system:masters", "system:authenticated"]
        request["spec"] |= {"username": "kubernetes-admin", "groups": groups}


def valid_request_name(name: object) -> bool:
    """Return whether a name can be part of a path; any such name will do."""
    return isinstance(name, str) and name not in (".", "..") and not set(name) & set("/%")


def validate_request(request: Document, errors: FieldErrors) -> None:
    """Validate the request, its usages, its signer and its duration."""
    spec: Document = request.get("spec") or {}
    if _pem_type(spec.get("request") or "") != "CERTIFICATE REQUEST":
        errors.invalid("spec.request", spec.get("request") or "", PEM_RULE)
    usages: list[str] = spec.get("usages") or []
    if not usages:
        errors.required("spec.usages")
    for index, usage in enumerate(usages):
        errors.one_of(f"spec.usages[{index}]", usage, USAGES)
        if usage in usages[:index]:
            errors.duplicate(f"spec.usages[{index}]", usage)
    signer = spec.get("signerName") or ""
    if signer == LEGACY_SIGNER:
        detail = "the legacy signerName is not allowed via this API version"
        errors.invalid("spec.signerName", signer, detail)
    else:
        validate_signer_name("spec.signerName", signer, errors)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < LEAST_SECONDS:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.invalid("spec.expirationSeconds", seconds, detail)


def _pem_type(encoded: str) -> str:
    """Return the type of the first PEM block in a base 64 string; "": there is none."""
    try:
        text = b64decode(encoded).decode("ascii")
    except ValueError:
        return ""
    begin, _, rest = text.partition("-----BEGIN ")[2].partition("-----")
    return begin if f"-----END {begin}-----" in rest else ""


def validate_signer_name(path: str, name: str, errors: FieldErrors) -> None:
    """Validate the name of a signer: ``example.com/signer-name``.

    Args:
        path: path of the field.
        name: its value.
        errors: collects the errors.
    """
    if not name:
        errors.required(path)
        return
    segments = name.split("/")
    if len(segments) != 2:
        errors.invalid(path, name, SIGNER_RULE)
        return
    domain, signer = segments
    if len(domain) > MAX_NAME:
        errors.too_long(path, MAX_NAME)
    labels = domain.split(".")
    broken = next((label for label in labels if not valid_dns1123_label(label)), None)
    if broken is not None:
        rule = at_most(63) if len(broken) > 63 else LABEL_RULE
        errors.invalid(path, domain, f'validating label "{broken}": {rule}')
    if len(labels) < 2:
        detail = "should be a domain with at least two segments separated by dots"
        errors.invalid(path, domain, detail)
    parts = signer.split(".")
    broken = next((part for part in parts if not valid_dns1123_subdomain(part)), None)
    if broken is not None:
        errors.invalid(path, signer, f'validating label "{broken}": {SUBDOMAIN_RULE}')


# -- status and approval ---------------------------------------------------------------------------


def validate_request_status(request: Document, errors: FieldErrors) -> None:
    """Validate the conditions and the certificate of a request."""
    status: Document = request.get("status") or {}
    types: set[str] = set()
    for path, condition in errors.items("status.conditions", status.get("conditions")):
        kind, value = condition.get("type") or "", condition.get("status") or ""
        if not kind:
            errors.required(f"{path}.type")
        if not value:
            errors.required(f"{path}.status")
        else:
            errors.one_of(f"{path}.status", value, ("True",) if kind in FINAL else STATUSES)
        if kind in DECISIONS and types & set(DECISIONS) - {kind}:
            errors.invalid(f"{path}.type", kind, EXCLUSIVE)
        if kind in types:
            errors.duplicate(f"{path}.type", kind)
        types.add(kind)
    certificate = status.get("certificate")
    if certificate and _pem_type(certificate) != "CERTIFICATE":
        errors.invalid("status.certificate", "<certificate data>", CERTIFICATE_RULE)


def _conditions(request: Document, kind: str) -> list[Document]:
    listed = objects_in((request.get("status") or {}).get("conditions"))
    return [each for each in listed if each.get("type") == kind]


def validate_status_change(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid a decision, and the change of a certificate that was issued.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    validate_approval(new, old, errors)
    path = "status.conditions"
    for kind in DECISIONS:
        after, before = _conditions(new, kind), _conditions(old, kind)
        if len(after) > len(before):
            detail = f'updates may not add a condition of type "{kind}"'
            errors.forbidden(path, detail)
        elif len(after) == len(before) and after != before:
            errors.forbidden(path, f'updates may not modify a condition of type "{kind}"')
    issued = (old.get("status") or {}).get("certificate")
    if issued and (new.get("status") or {}).get("certificate") != issued:
        detail = "updates may not modify existing certificate content"
        errors.forbidden("status.certificate", detail)


def validate_approval(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid the removal of a decision or a failure.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    for kind in FINAL:
        if len(_conditions(new, kind)) < len(_conditions(old, kind)):
            detail = f'updates may not remove a condition of type "{kind}"'
            errors.forbidden("status.conditions", detail)


REQUEST = Kind(
    "CertificateSigningRequest",
    "certificatesigningrequests",
    group="certificates.k8s.io",
    namespaced=False,
    short_names=("csr",),
    admit=admit_request,
    valid_name=valid_request_name,
    validate=validate_request,
    validate_status=validate_request_status,
    validate_status_update=validate_status_change,
    kept="no signer issues a certificate",
    counts_generation=False,
    selectable_fields=("spec.signerName",),
)
APPROVAL = replace(REQUEST, validate_status_update=validate_approval)  # its subresource approval
KINDS = (REQUEST,)
