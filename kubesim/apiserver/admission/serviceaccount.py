"""ServiceAccount: pods run as an account of their namespace, and get its token as a volume.

A pod without an account gets `default`. Each container sees token, certificate and namespace in
/var/run/secrets/kubernetes.io/serviceaccount, unless the pod or its account switches that off. The
sources of the volume are the same for all pods, so that the store keeps them once.

An API server without the controllers that create accounts has this switched off, as upstream's own
integration tests do (`--disable-admission-plugins=ServiceAccount`): pods name an account that need
not exist.

Ours leaves out: ephemeral containers. The real server waits up to two seconds for the account
`default`, since its controller may be on the way to create it; a call of ours cannot wait, so that
for the first two seconds of a namespace it goes on as if the account were there.

Source: plugin/pkg/admission/serviceaccount/admission.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubesim.apiserver.registry import ServerView
from kubesim.errors import Forbidden
from kubesim.objects.frozen import Document, freeze, objects_in, thaw
from kubesim.objects.meta import SUFFIX_ALPHABET, name_of
from kubesim.objects.wellknown import DEFAULT_ACCOUNT, MIRROR_ANNOTATION, ROOT_CA, TOKEN_VOLUME

PREFIX = "/registry/serviceaccounts/"
WAIT_SECONDS = 2.0  # 10 attempts, 0.1 to 0.2 s apart
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
ENFORCE_SECRETS = "kubernetes.io/enforce-mountable-secrets"
TOKEN_SECONDS = 3607  # an hour and the time in which a kubelet notices
SOURCES = freeze(
    {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {
                            "path": "namespace",
                            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                        }
                    ]
                }
            },
        ],
        "defaultMode": 420,
    }
)
NO_ACCOUNT: Document = {}
TOKEN_NAME = re.compile(rf"{TOKEN_VOLUME}[{SUFFIX_ALPHABET}]{{5}}")


def set_account(api: ServerView, pod: Document) -> None:
    """Set the account of a new pod, and what the pod gets from it before validation.

    Args:
        api: for the accounts.
        pod: the pod; it is changed in place.

    Raises:
        Forbidden: the account does not exist, or a Secret is not listed in an account that
            enforces its list.
    """
    spec = pod["spec"]
    if is_mirror(pod):
        _check_mirror(pod)
        return
    account = _account_of(api, pod)
    if account is NO_ACCOUNT:
        return
    annotations = account["metadata"].get("annotations")
    if annotations and annotations.get(ENFORCE_SECRETS) in ("true", "True", "TRUE", "1", "t", "T"):
        _check_secrets(pod, account)
    if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = thaw(account["imagePullSecrets"])


def mount_token(api: ServerView, pod: Document) -> None:
    """Add the volume with the account's token to a new, valid pod, and mount it everywhere.

    A container that mounts something else at that path keeps it.

    Args:
        api: for the accounts.
        pod: the pod; it is changed in place.
    """
    spec = pod["spec"]
    automount = spec.get("automountServiceAccountToken")
    if automount is False or not api.service_accounts or is_mirror(pod):
        return
    if automount is None and _account_of(api, pod).get("automountServiceAccountToken") is False:
        return
    volumes = spec.get("volumes") or []
    existing = next((v["name"] for v in volumes if v["name"].startswith(TOKEN_VOLUME)), "")
    name = existing or TOKEN_VOLUME + _suffix(pod["metadata"]["uid"])
    mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
    is_mounted = False
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            mounts = container.get("volumeMounts") or []
            if not mounts or all(each.get("mountPath") != MOUNT_PATH for each in mounts):
                container["volumeMounts"] = [*mounts, mount]
                is_mounted = True
    if is_mounted and not existing:
        spec["volumes"] = [*volumes, {"name": name, "projected": SOURCES}]


def _suffix(uid: str) -> str:
    """Return five letters out of a uid, which is random already.

    >>> _suffix("a76fb219-8fd4-4828-a50f-834281a5a415")
    'kt552'
    """
    number, letters = int(uid[:8], 16), ""
    for _ in range(5):
        number, index = divmod(number, len(SUFFIX_ALPHABET))
        letters += SUFFIX_ALPHABET[index]
    return letters


def _account_of(api: ServerView, pod: Document) -> Document:
    """Return the account of a pod; NO_ACCOUNT if it is about to be created."""
    namespace, name = pod["metadata"].get("namespace", ""), pod["spec"]["serviceAccountName"]
    kv = api.store.get(f"{PREFIX}{namespace}/{name}")
    if kv is not None:
        account: Document = kv.value
        return account
    parent = api.store.get(f"/registry/namespaces/{namespace}")
    if parent is None:
        return NO_ACCOUNT  # creation fails: the namespace does not exist
    if name == DEFAULT_ACCOUNT:
        created = api.clock.seconds_at(parent.value["metadata"]["creationTimestamp"])
        if api.clock.now() - created < WAIT_SECONDS:
            return NO_ACCOUNT
    reason = f'error looking up service account {namespace}/{name}: serviceaccount "{name}"'
    raise _refused(pod, f"{reason} not found")


# -- mirror pods and enforced lists of secrets -----------------------------------------------------


def is_mirror(pod: Document) -> bool:
    """Whether a pod stands for a static pod of a node."""
    annotations = pod["metadata"].get("annotations")
    return isinstance(annotations, dict) and MIRROR_ANNOTATION in annotations


def _check_mirror(pod: Document) -> None:
    """Refuse a mirror pod (it stands for a static pod) that names an account or a secret."""
    if pod["spec"].get("serviceAccountName"):
        raise _refused(pod, "a mirror pod may not reference service accounts")
    if any("secret" in volume for volume in objects_in(pod["spec"].get("volumes"))):
        raise _refused(pod, "a mirror pod may not reference secrets")


def _check_secrets(pod: Document, account: Document) -> None:
    """Refuse Secrets that the account does not list."""
    allowed = {each.get("name") for each in account.get("secrets") or ()}
    owner = f"because service account {name_of(account)} does not reference that"
    for where, secret in _secrets_of(pod["spec"]):
        if secret not in allowed:
            raise _refused(
                pod, f'{where} secret.secretName="{secret}" is not allowed {owner} secret'
            )
    pulls = {each.get("name") for each in account.get("imagePullSecrets") or ()}
    for index, each in enumerate(pod["spec"].get("imagePullSecrets") or ()):
        if each.get("name") not in pulls:
            where = f'imagePullSecrets[{index}].name="{each.get("name")}"'
            raise _refused(pod, f"{where} is not allowed {owner} imagePullSecret")


def _secrets_of(spec: Document) -> Iterator[tuple[str, object]]:
    """Yield (where, name) of each Secret in volumes and environments."""
    for volume in objects_in(spec.get("volumes")):
        if volume.get("secret"):
            yield "volume with", volume["secret"].get("secretName")
    for field, title in (("initContainers", "init container"), ("containers", "container")):
        for container in objects_in(spec.get(field)):
            whose = f"{title} {container.get('name')} with"
            for variable in objects_in(container.get("env")):
                source = (variable.get("valueFrom") or {}).get("secretKeyRef")
                if source:
                    yield f"{whose} envVar {variable.get('name')} referencing", source.get("name")
            for each in objects_in(container.get("envFrom")):
                if each.get("secretRef"):
                    yield f"{whose} envFrom referencing", each["secretRef"].get("name")


def _refused(pod: Document, reason: str) -> Forbidden:
    name = name_of(pod)
    return Forbidden(f'pods "{name}" is forbidden: {reason}', kind="pods", name=name)
