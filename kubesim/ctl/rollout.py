"""`kubectl rollout` for Python: status, history, undo, pause, resume and restart of a workload.

As kubectl, this is a client of the API server; the controllers do the rest. A Deployment keeps its
revisions as ReplicaSets, StatefulSets and DaemonSets keep theirs as ControllerRevisions.

>>> from kubesim import Cluster
>>> with Cluster(nodes=1, hpa=False) as cluster:
...     _ = cluster.api.create({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {
...         "selector": {"matchLabels": {"app": "web"}}, "template": {
...             "metadata": {"labels": {"app": "web"}},
...             "spec": {"containers": [{"name": "main", "image": "kubesim/pod"}]}}}})
...     web = Rollout(cluster.api, "deployment/web")
...     cluster.sleep(5)
...     print(web.restart(), "-", web.status())
...     cluster.sleep(5)
...     print(web.status())
...     [row[0] for row in web.history()]
deployment.apps/web restarted - Waiting for deployment spec update to be observed...
deployment "web" successfully rolled out
[1, 2]

Source: k8s.io/kubectl/pkg/polymorphichelpers (history.go, rollback.go, objectpauser.go,
objectresumer.go, objectrestarter.go), pkg/cmd/rollout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from kubesim.apiserver import KubeAPI
from kubesim.client import retry_on_conflict
from kubesim.controllers.deployment import revisions
from kubesim.errors import BadRequest, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.frozen import Document, ReadOnlyDocument, thaw
from kubesim.objects.progress import Progress, progress_of
from kubesim.objects.references import parse_reference
from kubesim.table import Table

if TYPE_CHECKING:
    from kubesim.objects.types import DeploymentDict, PodTemplateSpecDict, ReplicaSetDict

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
CHANGE_CAUSE = "kubernetes.io/change-cause"
ROLLED_OUT = ("Deployment", "StatefulSet", "DaemonSet")


class RolloutRevision(NamedTuple):
    """One revision of a workload's template.

    Attributes:
        number: of the revision.
        cause: the annotation change-cause; "" if it is not set.
        template: spec.template, without the label pod-template-hash.
        holder: the ReplicaSet or ControllerRevision that holds the template.
    """

    number: int
    cause: str
    template: PodTemplateSpecDict
    holder: ReadOnlyDocument


# -- one workload ----------------------------------------------------------------------------------


class Rollout:
    """The rollout of one workload.

    Args:
        api: the API server.
        reference: ``deployment/web``, ``sts/db``, ``daemonset/shop/agent`` ...

    Raises:
        BadRequest: the reference has another form, or the kind has no rollouts.
        NotFound: no such kind.
    """

    def __init__(self, api: KubeAPI, reference: str) -> None:
        target = parse_reference(reference, api.registry)
        self._api = api
        self._kind = api.registry.find(target.kind)
        if self._kind.kind not in ROLLED_OUT:
            raise BadRequest(
                f"{self._kind.plural} have no rollouts",
                hint="kinds with rollouts: deployments, statefulsets, daemonsets",
            )
        self.name, self.namespace = target.name, target.namespace
        self._shown = f"{self._kind.kind.lower()}.apps/{self.name}"

    # -- reading --------------------------------------------------------------------------------

    def status(self) -> str:
        """Return one line, as `kubectl rollout status --watch=false` prints it.

        Raises:
            NotFound: no such workload.
        """
        return self.progress().text

    def progress(self) -> Progress:
        """Return that line and whether the rollout is complete, for `cluster.wait_until`."""
        return progress_of(self._get())

    def history(self) -> Table:
        """Return the revisions to which `undo` can go back, oldest first."""
        rows = [
            (v.number, v.cause or "<none>", _images(v.template), meta.name_of(v.holder))
            for v in self.versions()
        ]
        return Table(("revision", "change-cause", "images", "kept in"), rows, title=self._shown)

    def versions(self) -> list[RolloutRevision]:
        """Return the revisions by number; templates without a number are left out."""
        workload = self._get()
        keeper = "ReplicaSet" if self._kind.kind == "Deployment" else "ControllerRevision"
        result = []
        for holder in self._api.snapshot(keeper, self.namespace)[0]:
            if not meta.is_owned_by(holder, workload):
                continue
            if keeper == "ReplicaSet":
                number, template = revisions.revision_of(holder), holder["spec"]["template"]
            else:
                number, template = holder.get("revision"), holder["data"]["spec"]["template"]
            if number is not None:
                cause = meta.annotations_of(holder).get(CHANGE_CAUSE, "")
                bare = {k: v for k, v in revisions.without_hash(template).items() if k != "$patch"}
                kept = cast("PodTemplateSpecDict", thaw(bare))
                result.append(RolloutRevision(number, cause, kept, holder))
        return sorted(result, key=lambda revision: revision.number)

    # -- changing -------------------------------------------------------------------------------

    def undo(self, to_revision: int | None = None) -> str:
        """Go back to a revision; returns kubectl's line.

        Args:
            to_revision: number of the revision in `history`; None: the one before the current one.

        Raises:
            BadRequest: there is only one revision, or the Deployment is paused.
            NotFound: no such workload or revision.
        """
        return retry_on_conflict(lambda: self._undo(to_revision or 0))

    def _undo(self, number: int) -> str:
        workload, versions = self._get(), self.versions()
        if workload["spec"].get("paused"):
            raise BadRequest(
                "you cannot rollback a paused deployment; resume it first with "
                f"'kubectl rollout resume' and try again: {self._shown}",
                hint="call rollout(...).resume() first",
            )
        if number == 0 and len(versions) < 2:
            kind = self._kind.kind.lower()
            raise BadRequest(
                f'no rollout history found for {kind} "{self.name}"',
                hint="its template was never changed, so that there is no earlier revision",
            )
        candidates = versions[-2:-1] if number == 0 else versions
        target = next((v for v in candidates if number in (0, v.number)), None)
        if target is None:
            raise NotFound(
                f"unable to find specified revision {number} in history",
                hint=f"revisions: {', '.join(str(v.number) for v in versions) or 'none'}",
            )
        if revisions.equal_ignoring_hash(workload["spec"]["template"], target.template):
            return (
                f"{self._shown} skipped rollback (current template already matches revision "
                f"{target.number})"
            )
        if self._kind.kind == "Deployment":
            deployment = cast("DeploymentDict", workload)
            holder = cast("ReplicaSetDict", target.holder)
            self._api.update(revisions.rolled_back(deployment, holder))
        else:
            spec = {**workload["spec"], "template": target.template}
            self._api.update({**workload, "spec": spec})
        return f"{self._shown} rolled back"

    def pause(self) -> str:
        """Pause the rollout: changes of the template are not rolled out, changes of size are.

        Raises:
            BadRequest: it is paused already, or the kind cannot be paused.
        """
        return self._set_paused(True)

    def resume(self) -> str:
        """Resume the rollout.

        Raises:
            BadRequest: it is not paused, or the kind cannot be paused.
        """
        return self._set_paused(False)

    def _set_paused(self, paused: bool) -> str:
        doing, done = ("pausing", "paused") if paused else ("resuming", "resumed")
        if self._kind.kind != "Deployment":
            raise BadRequest(f'{self._kind.resource} "{self.name}" {doing} is not supported')
        if bool(self._get()["spec"].get("paused")) is paused:
            state = "already paused" if paused else "not paused"
            raise BadRequest(f'{self._kind.resource} "{self.name}" is {state}')
        self._patch({"spec": {"paused": True if paused else None}})
        return f"{self._shown} {done}"

    def restart(self) -> str:
        """Replace all pods in a rollout, by an annotation of the template with the time.

        Raises:
            BadRequest: the Deployment is paused, or was restarted in the same second.
        """
        workload, now = self._get(), self._api.clock.timestamp()
        if workload["spec"].get("paused"):
            raise BadRequest(
                f"{self._shown} can't restart paused deployment (run rollout resume first)"
            )
        template = workload["spec"]["template"]
        if meta.annotations_of(template).get(RESTARTED_AT) == now:
            raise BadRequest(
                f"failed to create patch for {self.name}: if restart has already been triggered "
                "within the past second, please wait before attempting to trigger another"
            )
        note = {"metadata": {"annotations": {RESTARTED_AT: now}}}
        self._patch({"spec": {"template": note}})
        return f"{self._shown} restarted"

    # -- the API --------------------------------------------------------------------------------

    def _get(self) -> Document:
        return self._api.get(self._kind.kind, self.name, self.namespace)

    def _patch(self, patch: Document) -> None:
        self._api.patch(self._kind.kind, self.name, patch, self.namespace)

    def __repr__(self) -> str:
        try:
            return f"{self._shown}: {self.status()}"
        except StatusError as error:
            return f"{self._shown}: {error.message}"


# -- the same as functions -------------------------------------------------------------------------


def status(api: KubeAPI, reference: str) -> str:
    """`Rollout.status` of ``deployment/web``."""
    return Rollout(api, reference).status()


def history(api: KubeAPI, reference: str) -> Table:
    """`Rollout.history` of ``deployment/web``."""
    return Rollout(api, reference).history()


def undo(api: KubeAPI, reference: str, to_revision: int | None = None) -> str:
    """`Rollout.undo` of ``deployment/web``.

    Args:
        api: the API server.
        reference: kind and name, for example ``deployment/web``.
        to_revision: the revision to roll back to; None: the previous one.
    """
    return Rollout(api, reference).undo(to_revision)


def pause(api: KubeAPI, reference: str) -> str:
    """`Rollout.pause` of ``deployment/web``."""
    return Rollout(api, reference).pause()


def resume(api: KubeAPI, reference: str) -> str:
    """`Rollout.resume` of ``deployment/web``."""
    return Rollout(api, reference).resume()


def restart(api: KubeAPI, reference: str) -> str:
    """`Rollout.restart` of ``deployment/web``."""
    return Rollout(api, reference).restart()


def _images(template: PodTemplateSpecDict) -> str:
    containers = (template.get("spec") or {}).get("containers") or ()
    return ", ".join(str(container.get("image", "")) for container in containers)
