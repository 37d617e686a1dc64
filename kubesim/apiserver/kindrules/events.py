"""What an Event must say: of an object in its namespace, and, with an eventTime, by whom and why.

The stricter rules for Events that are created in the group events.k8s.io are not applied.

Source: pkg/apis/core/validation/events.go (legacyValidateEvent).
"""

from __future__ import annotations

from kubesim.apiserver.podvalidation.formats import validate_label_name
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import DEFAULT_NAMESPACE

MOST_BYTES = {"reportingInstance": 128, "action": 128, "reason": 128, "message": 1024}


def validate_event(event: Document, errors: FieldErrors) -> None:
    """Validate the namespace of an Event, and the fields of one that has an eventTime."""
    about = errors.mapping("involvedObject", event.get("involvedObject"))
    if not about:
        errors.required("involvedObject")
    own, other = event["metadata"].get("namespace"), about.get("namespace") or ""
    is_dated = event.get("eventTime") is not None
    if is_dated:
        matches = bool(other) or own in (DEFAULT_NAMESPACE, "kube-system")
    else:
        matches = own in (other or DEFAULT_NAMESPACE, other)
    if about and not matches:
        errors.invalid("involvedObject.namespace", other, "does not match event.namespace")
    if is_dated:
        _validate_dated(event, errors)


def _validate_dated(event: Document, errors: FieldErrors) -> None:
    controller = str(event.get("reportingComponent") or "")
    if not controller:
        errors.required("reportingController")
    validate_label_name("reportingController", controller, errors)
    for field, most in MOST_BYTES.items():
        text = str(event.get(field) or "")
        if not text and field != "message":
            errors.required(field)
        if len(text.encode()) > most:
            errors.invalid(field, "", f"can have at most {most} characters")
