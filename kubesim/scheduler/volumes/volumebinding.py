"""VolumeBinding: a pod goes where its volumes are, or can be made.

Bound claims keep a pod on the nodes of their volumes. A claim of a class with WaitForFirstConsumer
is bound here: to a volume that fits and is on the node, or by asking the provisioner for one (the
annotation with the selected node). The pod is bound to its node once all claims are bound.

Ours leaves out the score by capacity (off by default) and CSIStorageCapacity.

Source: pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from kubesim.objects import meta
from kubesim.objects.kindnames import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from kubesim.objects.volumes import (
    NO_PROVISIONER,
    SELECTED_NODE,
    bound_volume,
    claim_names,
    class_of_claim,
    class_of_volume,
    find_matching_volume,
    fits_node,
    is_fully_bound,
    requested_size,
    topology_allows,
)
from kubesim.scheduler.framework import events
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.handle import Handle
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import ObjectLister, Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, PluginFailed, Status
from kubesim.scheduler.volumes.podclaims import UnusableClaim, concerns_claim, sorted_claims

if TYPE_CHECKING:
    from kubesim.objects.types import (
        NodeDict,
        PersistentVolumeClaimDict,
        PersistentVolumeDict,
        PodDict,
        StorageClassDict,
    )

UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
BIND_CONFLICT = "node(s) didn't find available persistent volumes to bind"
NODE_CONFLICT = "node(s) had volume node affinity conflict"
NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
BIND_TIMEOUT_SECONDS = 600.0


@dataclass
class NodeVolumes:
    """What is bound if the pod goes to one node.

    Attributes:
        static: volumes that exist, each with its claim.
        provisioned: claims for which a volume is made.
    """

    static: list[tuple[PersistentVolumeDict, PersistentVolumeClaimDict]]
    provisioned: list[PersistentVolumeClaimDict]


@dataclass
class VolumeState:
    """What the plug-in keeps for one attempt.

    Attributes:
        bound: volume of each bound claim; None: it does not exist.
        delayed: the claims to bind, the smallest first, each with the volumes of its class.
        by_node: what is bound on each node that passed the filter.
    """

    bound: list[tuple[PersistentVolumeClaimDict, PersistentVolumeDict | None]]
    delayed: list[tuple[PersistentVolumeClaimDict, Sequence[PersistentVolumeDict]]]
    by_node: dict[str, NodeVolumes] = field(default_factory=dict)

    def clone(self) -> VolumeState:
        """Return an independent copy; the documents are shared."""
        return VolumeState(self.bound, self.delayed, dict(self.by_node))


class VolumeBinding:
    """Filter nodes by the volumes of a pod, and bind its claims.

    Args:
        bind_timeout_seconds: how long a pod waits for its claims to be bound.
    """

    name = "VolumeBinding"

    def __init__(self, bind_timeout_seconds: float = BIND_TIMEOUT_SECONDS) -> None:
        self._timeout = bind_timeout_seconds
        self._handle: Handle | None = None
        self._reserved: dict[str, str] = {}  # volume -> key of the pod it is reserved for

    def attach(self, handle: Handle) -> None:
        """Keep the API client, which writes the bindings."""
        self._handle = handle

    def local(self, pod: PodDict, snapshot: Snapshot) -> bool:
        """Return True for pods without claims (see fastpath)."""
        return not claim_names(pod)

    # -- filters ----------------------------------------------------------------------------------

    def pre_filter(self, pod: PodDict, state: CycleState) -> Status:
        """Read the claims; refuse a pod whose claims do not exist, or must be bound first."""
        if not claim_names(pod):
            return SKIP
        world = state.snapshot.world
        try:
            claims = sorted_claims(pod, world)
        except UnusableClaim as error:
            return Status.unresolvable(str(error)).with_help(_help_for(error, pod))
        if claims.immediate:
            keys = ", ".join(meta.key_of(claim) for claim in claims.immediate)
            noun = "claim" if len(claims.immediate) == 1 else "claims"
            verb = "is" if len(claims.immediate) == 1 else "are"
            first = meta.key_of(claims.immediate[0])
            help = f'the {noun} {keys} {verb} bound: explain("pvc/{first}") says what it waits for'
            return Status.unresolvable(UNBOUND).with_help(help)
        bound = [(c, world.volume(c["spec"]["volumeName"])) for c in claims.bound]
        volumes = world.volumes() if claims.delayed else []
        delayed: list[tuple[PersistentVolumeClaimDict, Sequence[PersistentVolumeDict]]] = [
            (claim, [v for v in volumes if class_of_volume(v) == class_of_claim(claim)])
            for claim in sorted(claims.delayed, key=requested_size)
        ]
        state[self.name] = VolumeState(bound, delayed)
        return SUCCESS

    def filter(self, pod: PodDict, node: NodeInfo, state: CycleState) -> Status:
        """Check the volumes of bound claims, and find volumes for the others."""
        volumes: VolumeState = state[self.name]
        reasons, helps = [], []
        for claim, volume in volumes.bound:
            if volume is None:
                reasons.append(NO_VOLUME)
            elif not fits_node(volume, node.labels, node.name):
                reasons.append(NODE_CONFLICT)
                helps.append(
                    f"the volume {meta.name_of(volume)} of the claim {meta.key_of(claim)} was on "
                    "another node"
                )
        found_for = self._find(volumes, node.node, state.snapshot.world)
        if found_for is None:
            reasons.append(BIND_CONFLICT)
            keys = ", ".join(meta.key_of(claim) for claim, _ in volumes.delayed)
            helps.append(f"a volume that fits the claim {keys} were on the node")
        if reasons:
            # Upstream names each reason once, the missing volumes after the others.
            unique = sorted(set(reasons), key=(BIND_CONFLICT, NODE_CONFLICT, NO_VOLUME).index)
            return Status.unresolvable(*unique).with_help("; ".join(sorted(set(helps))))
        if found_for is not None:
            volumes.by_node[node.name] = found_for
        return SUCCESS

    def _find(
        self, volumes: VolumeState, node: NodeDict, world: ObjectLister
    ) -> NodeVolumes | None:
        """Return what would be bound on a node; None if a claim finds nothing there."""
        result = NodeVolumes([], [])
        chosen = set(self._reserved)
        for claim, candidates in volumes.delayed:
            selected = meta.annotations_of(claim).get(SELECTED_NODE)
            if selected is not None:
                if selected != meta.name_of(node):
                    return None
                result.provisioned.append(claim)
                continue
            match = find_matching_volume(
                claim, candidates, node=node, excluded=chosen, delayed=True
            )
            if match is not None:
                chosen.add(meta.name_of(match))
                result.static.append((match, claim))
            elif can_provision(world.storage_class(class_of_claim(claim)), meta.labels_of(node)):
                result.provisioned.append(claim)
            else:
                return None
        return result

    # -- binding ----------------------------------------------------------------------------------

    def reserve(self, pod: PodDict, node: str, state: CycleState) -> Status:
        """Reserve the volumes that exist, so that no other pod gets them.

        Args:
            pod: the pod.
            node: name of the node.
            state: of this attempt.
        """
        volumes: VolumeState | None = state.get(self.name)
        if volumes is not None and volumes.delayed:
            for volume, _ in volumes.by_node[node].static:
                self._reserved[meta.name_of(volume)] = meta.key_of(pod)
        return SUCCESS

    def unreserve(self, pod: PodDict, node: str, state: CycleState) -> None:
        """Give the volumes back.

        Args:
            pod: the pod.
            node: name of the node.
            state: of this attempt.
        """
        volumes: VolumeState | None = state.get(self.name)
        if volumes is not None and volumes.delayed:
            self._release(volumes.by_node[node])

    def _release(self, volumes: NodeVolumes) -> None:
        for volume, _ in volumes.static:
            self._reserved.pop(meta.name_of(volume), None)

    def pre_bind(self, pod: PodDict, node: str, state: CycleState) -> Status:
        """Write the bindings, then wait until the controller has completed them.

        Args:
            pod: the pod.
            node: name of the node.
            state: of this attempt.

        Raises:
            PluginFailed: a volume or a claim is gone.
        """
        volumes: VolumeState | None = state.get(self.name)
        if volumes is None or not volumes.delayed or self._handle is None:
            return SUCCESS
        chosen = volumes.by_node[node]
        for volume, claim in chosen.static:
            self._bind_static(volume, claim)
        for claim in chosen.provisioned:
            self._select_node(claim, node)
        self._release(chosen)
        claims = [*(claim for _, claim in chosen.static), *chosen.provisioned]
        waiting = [meta.key_of(claim) for claim in claims if not self._is_bound(claim, node)]
        if not waiting:
            return SUCCESS
        help = f"the claim {', '.join(waiting)} is bound"
        return Status.wait(self._timeout).with_help(help)

    def _bind_static(self, volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict) -> None:
        api = cast("Handle", self._handle).api
        current = api.peek(PERSISTENT_VOLUME, meta.name_of(volume))
        if current is None:
            raise PluginFailed(
                f'running PreBind plugin "{self.name}": binding volumes: failed to '
                f"check binding: could not find v1.PersistentVolume "
                f'"{meta.name_of(volume)}"'
            )
        bound = bound_volume(current, claim)
        if bound is not current:
            api.update(bound)

    def _select_node(self, claim: PersistentVolumeClaimDict, node: str) -> None:
        api = cast("Handle", self._handle).api
        current = api.peek(PERSISTENT_VOLUME_CLAIM, meta.name_of(claim), meta.namespace_of(claim))
        if current is None or is_fully_bound(current):
            return
        annotations = meta.annotations_of(current)
        if annotations.get(SELECTED_NODE) != node:
            metadata = {**current["metadata"], "annotations": {**annotations, SELECTED_NODE: node}}
            api.update(cast("PersistentVolumeClaimDict", {**current, "metadata": metadata}))

    def _is_bound(self, claim: PersistentVolumeClaimDict, node: str) -> bool:
        """Return whether a claim is bound by now.

        Raises:
            PluginFailed: the claim is gone: the pod is scheduled again.
        """
        api = cast("Handle", self._handle).api
        current = api.peek(PERSISTENT_VOLUME_CLAIM, meta.name_of(claim), meta.namespace_of(claim))
        if current is None:
            raise PluginFailed(
                f'running PreBind plugin "{self.name}": binding volumes: failed to check '
                f'provisioning pvc: could not find v1.PersistentVolumeClaim "{meta.key_of(claim)}"'
            )
        return is_fully_bound(current)

    # -- queueing hint ----------------------------------------------------------------------------

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a claim of the pod, a volume, a class or a node's labels changed."""
        if event.kind in (events.CLAIM_ADD, events.CLAIM_UPDATE):
            return concerns_claim(pod, event)
        if event.kind == events.CLASS_UPDATE and event.old is not None and event.new is not None:
            return event.old.get("allowedTopologies") != event.new.get("allowedTopologies")
        if event.kind == events.NODE_UPDATE:
            return event.labels_changed()
        return event.kind in (
            events.CLASS_ADD,
            events.CSI_NODE_ADD,
            events.NODE_ADD,
            events.VOLUME_ADD,
            events.VOLUME_UPDATE,
        )


def can_provision(storage_class: StorageClassDict | None, labels: Mapping[str, str]) -> bool:
    """Return whether a class has a provisioner that may make a volume for such a node.

    Args:
        storage_class: the class; None: there is none.
        labels: of the node.
    """
    if storage_class is None or storage_class.get("provisioner") in (None, "", NO_PROVISIONER):
        return False
    return topology_allows(storage_class, labels)


def _help_for(error: UnusableClaim, pod: PodDict) -> str:
    if "not found" in str(error):
        return f"somebody creates this claim in the namespace {meta.namespace_of(pod)}"
    if "is being deleted" in str(error):
        return "the claim is deleted and created again"
    return ""
