"""One pod's life, on a worker of its own.

On the live clock that worker is a thread named after the pod, as the original had a goroutine for
each; on the virtual clock it is an entry in the queue. The life:

    Pending --start delay--> init containers, sidecars --> Running --each second: a sample--> ...
        ... a container exits, fails a probe, exceeds its memory: started again, by the policy
        ... deleted: stops gracefully inside its grace, shows its last state, then the object goes
        ... nothing is left to run: Succeeded or Failed

After each change `lifecycle.plan` says what to start next; the status is written once for all that
happened at that moment.

Ours keeps: phases, conditions, container statuses, init containers and sidecars, images, probes,
restart with back-off, graceful termination, limits, deadlines, events and logs. It leaves out:
volumes, postStart hooks, ephemeral containers.

Source: pkg/kubelet/pod_workers.go, kuberuntime/kuberuntime_manager.go (SyncPod, killPod).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kubesim.apiserver import KubeAPI
from kubesim.clock.base import Worker
from kubesim.kubelet.images import ImageStore
from kubesim.kubelet.pod import records
from kubesim.kubelet.pod.base import NodeTools
from kubesim.kubelet.pod.behaviour import may_exceed_memory, seconds_in, start_error
from kubesim.kubelet.pod.containers import CREATING, INITIALIZING, ContainerLife
from kubesim.kubelet.pod.ending import PodEnding
from kubesim.kubelet.pod.lifecycle import plan
from kubesim.kubelet.pod.phase import INIT, MAIN, RUNNING, TERMINATED, ran_before, should_restart
from kubesim.kubelet.pod.probes import READINESS, STARTUP, ProbeNews
from kubesim.kubelet.pod.probing import PodProbes
from kubesim.kubelet.pod.pulling import ImageWaiter, Pull
from kubesim.kubelet.pod.references import (
    RETRY_SECONDS,
    missing_for_container,
    missing_for_volumes,
    mount_delay,
)
from kubesim.kubelet.usage.meter import Load, Meter
from kubesim.kubelet.usage.models import PodModels
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import START_SECONDS

START_DELAY_SECONDS = 1.0  # to set up the pod's sandbox, as the original took to start a pod
START_ERROR_CODE = 128  # of a container whose process could not be started
SANDBOX_CHANGED = "Pod sandbox changed, it will be killed and re-created."


class PodRunner(PodEnding):
    """Runs one pod; every method but `lines` is called on its worker.

    Args:
        api, worker, pod, models, tools, ip: see `PodBase`.
        images, pull: the node's images, and how to ask for one.
        load: requests per second that reach it.
        ended: called when the pod has come to its end and needs its worker no more.
        found: the runner of this very pod before the power was cut; its log is on the disk.
    """

    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        pod: Document,
        models: PodModels,
        tools: NodeTools,
        ip: str,
        *,
        images: ImageStore,
        pull: Pull,
        load: Load | None,
        ended: Callable[[PodRunner], None],
        found: PodRunner | None = None,
    ) -> None:
        super().__init__(api, worker, pod, models, tools, ip)
        self._ended = ended
        self._probes = PodProbes(self._lives, worker, self._now, models, ip, self._probed)
        self._images, self._pull = images, pull
        self._waiter: ImageWaiter | None = None  # made when an image is not there
        self._meter = Meter(
            api,
            worker,
            (self.namespace, self.name),
            pod,
            models,
            load,
            exceeds=frozenset(n for n in self._by_name if may_exceed_memory(pod, n)),
            killed=self._out_of_memory,
            failed=self._crash,
        )
        self._fresh: list[ContainerLife] = []  # started just now
        self._new_sandbox = False
        if found is not None:
            for life in self._lives:
                life.log.extend(found._by_name[life.name].log)

    def start(self) -> None:
        """The kubelet took the pod: prepare it, then run it."""
        self._tell("PodStart", f"Pod {self.name} starting ...")
        for complaint in self._complaints:
            self._event("Warning", "InvalidAnnotation", complaint)
        if ran_before(self.pod):
            self._survive()
        self._write_status()
        text = meta.annotations_of(self.pod).get(START_SECONDS)
        complain = partial(self._event, "Warning", "InvalidAnnotation")
        delay = seconds_in(START_SECONDS, text, START_DELAY_SECONDS, complain)
        self._timers.append(self.worker.call_later(delay or 0.0, self._prepare))
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        if deadline is not None:
            left = self._active_since() + float(deadline) - self._now()
            self._timers.append(self.worker.call_later(left, self._out_of_time))

    def refresh(self) -> None:
        """Conditions of the pod's readiness gates may have changed."""
        if not self._over:
            self._write_status()

    # -- starting ---------------------------------------------------------------------------------

    def _survive(self) -> None:
        """The node was switched off under this pod: its containers are found dead.

        The kubelet's memory is empty: the next start has no delay. With a new sandbox, init
        containers run again.
        """
        status = self.pod["status"]
        known = {
            str(entry["name"]): entry
            for field in ("containerStatuses", "initContainerStatuses")
            for entry in status.get(field) or ()
        }
        for life in self._lives:
            if life.name in known:
                life.adopt(known[life.name], self._now(), self._timestamp)
        again = [x for x in self._lives if x.kind == MAIN and self._starts_again(x)]
        if not again or self._policy == "Never":
            return  # what was lost stays lost; what had not begun goes on from there
        self._new_sandbox = True
        self._event("Normal", "SandboxChanged", SANDBOX_CHANGED)
        for life in self._lives:
            if life.state == TERMINATED and (life.kind != MAIN or life in again):
                life.wait(INITIALIZING if len(self._lives) > len(again) else CREATING)

    def _starts_again(self, life: ContainerLife) -> bool:
        """A container that was found dead, or had not run, is started on the returned node."""
        if life.ended is None:
            return True
        return should_restart(self._policy, int(life.ended["exitCode"]))

    def _prepare(self, attempt: int = 0) -> None:
        """Mount the volumes; then the sandbox is ready for containers."""
        missing = missing_for_volumes(self.pod, self._find)
        if not missing:
            self._sandbox = True
            self._sync()
            return
        self._event("Warning", "FailedMount", missing)
        delay = mount_delay(attempt)
        self._decide(
            records.waiting_record(
                self._now(), self.pod, self._component, "volumes", missing, delay
            )
        )
        retry = self.worker.call_later(delay, lambda: self._prepare(attempt + 1))
        self._timers.append(retry)

    def _find(self, kind: str, name: str) -> Document | None:
        return self.api.peek(kind, name, self.namespace)

    def _sync(self) -> None:
        """Start what is to be started now; called after each change of a container's state."""
        if self._over or self._stopper is not None:
            return
        while True:
            facts = [life.facts() for life in self._lives]
            killed = frozenset(life.name for life in self._lives if life.killed)
            step = plan(facts, self._policy, killed, new_sandbox=self._new_sandbox)
            waiting = [self._by_name[n] for n in step.start if not self._by_name[n].busy]
            if not waiting:
                break
            for life in waiting:
                self._begin(life)
        if step.over:
            self._wind_up()
        else:
            self._settle()

    def _begin(self, life: ContainerLife) -> None:
        """Start a container, at once or after the back-off of one that keeps exiting."""
        if life.kind == MAIN:
            self._new_sandbox = False
        if life.ended is not None:
            delay = life.backoff.delay(life.exited_at)
            self._record_restart(life, delay)
            if delay > 0:
                self._wait_for_restart(life, delay)
                return
        self._launch(life)

    def _wait_for_restart(self, life: ContainerLife, delay: float) -> None:
        life.busy = True
        whose = f"{self.name}_{self.namespace}({self.uid})"
        said = f"back-off {delay:g}s restarting failed container={life.name} pod={whose}"
        life.wait("CrashLoopBackOff", said)
        about = f"Back-off restarting failed container {life.name} in pod {whose}"
        self._event("Warning", "BackOff", about)
        self._tell("PodBackOff", f"Pod {self.name} waits {delay:g}s before its next start", "warn")
        left = life.exited_at + delay - self._now()
        self._later(life, left, lambda: self._again(life))

    def _again(self, life: ContainerLife) -> None:
        life.busy = False
        self._launch(life)
        self._sync()

    def _launch(self, life: ContainerLife) -> None:
        policy = str(life.spec.get("imagePullPolicy") or "IfNotPresent")
        if self._images.has(life.image, policy):
            present = f'Container image "{life.image}" already present on machine'
            self._event("Normal", "Pulled", present)
            self._images.note(life.image)
            self._configure(life)
            return
        if self._waiter is None:
            self._waiter = ImageWaiter(
                self._pull,
                event=self._event,
                later=self._later,
                ready=self._image_ready,
                again=self._launch_again,
                changed=self._write_status,
                waits=self._no_image,
            )
        self._waiter.fetch(life, policy)

    def _launch_again(self, life: ContainerLife) -> None:
        """An image that did not come is tried again."""
        self._launch(life)
        self._sync()

    def _image_ready(self, life: ContainerLife) -> None:
        if not self.ending:
            self._configure(life)
            self._sync()

    def _configure(self, life: ContainerLife) -> None:
        """Make the container's environment, then run it."""
        missing = missing_for_container(life.spec, self.namespace, self._find)
        if not missing:
            self._run(life)
            return
        life.busy = True
        life.wait("CreateContainerConfigError", missing)
        self._event("Warning", "Failed", f"Error: {missing}")
        record = records.waiting_record(
            self._now(), self.pod, self._component, life.name, missing, RETRY_SECONDS
        )
        self._decide(record)
        self._later(life, RETRY_SECONDS, lambda: self._again(life))

    def _run(self, life: ContainerLife) -> None:
        """A container runs."""
        alone = not any(other.state == RUNNING and other is not life for other in self._lives)
        if life.ran:
            try:
                self.models.renew(life.name, alone=alone)
            except Exception as error:  # noqa: BLE001 - a learner's factory: the old model goes on
                self._tell("PodError", f"Pod {self.name}: no new model: {error}", "error")
        life.run(self._now())
        self._event("Normal", "Created", f"Created container {life.name}")
        if why := start_error(life.spec):
            self._event("Warning", "Failed", f"Error: {why}")
            life.exit(self._now(), START_ERROR_CODE, "StartError", why, self._timestamp)
            return
        life.started = not self._probes.has(life, "startup") and life.kind != INIT
        life.ready = life.started and not self._probes.has(life, "readiness")
        self._event("Normal", "Started", f"Started container {life.name}")
        self._fresh.append(life)

    def _settle(self) -> None:
        """Write what happened, and let run what was started."""
        fresh, self._fresh = self._fresh, []
        if not self._write_status():
            return
        if any(life.kind == MAIN for life in fresh):
            self._tell("PodRunning", f"Pod {self.name} is running")
        self._follow()
        for life in fresh:
            self._probes.container_started(life)
            seconds = life.behaviour.run_seconds
            if seconds is not None:
                exit = partial(self._exit, life, life.behaviour.exit_code)
                self._later(life, seconds, exit)

    # -- what probes say --------------------------------------------------------------------------

    def _probed(self, life: ContainerLife, news: ProbeNews) -> None:
        if life.state != RUNNING or self._over:
            return
        changed = news.after is not news.before
        if not news.ok:
            said = f"{news.kind.capitalize()} probe failed: {news.output}"
            self._event("Warning", "Unhealthy", said)
        if changed or news.failures == 1:
            record = records.probe_record(self._now(), self.pod, self._component, life.name, news)
            self._decide(record)
        if not changed:
            return
        if news.kind == READINESS:
            life.ready = bool(news.after) and life.started
            self._write_status()
        elif news.after is False:
            self._kill(life, news.kind)
        elif news.kind == STARTUP:
            life.started = True
            life.ready = not self._probes.has(life, READINESS)
            self._sync()  # a sidecar that has started lets the next container start

    # -- why --------------------------------------------------------------------------------------

    def _record_restart(self, life: ContainerLife, delay: float) -> None:
        record = records.restart_record(
            self._now(),
            self.pod,
            self._component,
            container=life.name,
            ended=life.ended or {},
            policy=self._policy,
            restarts=life.restarts,
            delay=delay,
            killed=life.killed,
        )
        self._decide(record)

    def _no_image(self, life: ContainerLife, reason: str, message: str, wait: float) -> None:
        record = records.image_record(
            self._now(), self.pod, self._component, life.name, reason, message, wait
        )
        self._decide(record)
