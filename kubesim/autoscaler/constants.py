"""The constants of the autoscaler, each a parameter: kube-controller-manager's flags and rules.

The real controller takes some of them as flags (``--horizontal-pod-autoscaler-tolerance`` ...), has
others compiled in, and lets each HPA override a few in `spec.behavior`. Here all of them are fields
of `PolicyConstants`, so that an experiment (or a test that mirrors an upstream one) can set them.

>>> PolicyConstants().tolerance
0.1
>>> Rules(window_seconds=60).filled(PolicyConstants().scale_up).select
'Max'

Left out: the number of concurrent workers (upstream 5); ours has one worker.

Source: pkg/controller/podautoscaler/config/v1alpha1/defaults.go;
pkg/apis/autoscaling/v2/defaults.go; pkg/controller/podautoscaler/horizontal.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.objects.wellknown import MAX_INT32

SYNC_PERIOD_SECONDS = 15.0  # --horizontal-pod-autoscaler-sync-period; one for all HPAs upstream
MAX_REPLICAS = MAX_INT32  # a size is an int32
MAX_TOTAL = 2**63 - 1  # a sum of metric values is an int64


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """One policy of `spec.behavior`: at most `value` Pods or Percent per `period_seconds`.

    Attributes:
        type: Pods or Percent.
        value: number of pods, or percent of the size at the start of the period.
        period_seconds: 1 to 1800.
    """

    type: str
    value: int
    period_seconds: int


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one direction; None: the default.

    Attributes:
        window_seconds: stabilization window, 0 to 3600; None for scale-down: the controller's.
        select: Max (the policy that permits the most change), Min, or Disabled (no change at all).
        policies: a list replaces the default list.
        tolerance: ratio by which the metric may differ from its target; None: the controller's.
    """

    window_seconds: float | None = None
    select: str | None = None
    policies: tuple[ScalingPolicy, ...] | None = None
    tolerance: float | None = None

    def filled(self, default: Rules) -> Rules:
        """Return these rules with missing fields from the default."""
        window, select, policies = self.window_seconds, self.select, self.policies
        return Rules(
            default.window_seconds if window is None else window,
            default.select if select is None else select,
            default.policies if policies is None else policies,
            self.tolerance,
        )


NO_RULES = Rules()
SCALE_UP = Rules(0.0, "Max", (ScalingPolicy("Pods", 4, 15), ScalingPolicy("Percent", 100, 15)))
SCALE_DOWN = Rules(None, "Max", (ScalingPolicy("Percent", 100, 15),))


@dataclass(frozen=True, slots=True)
class PolicyConstants:
    """Settings of the algorithm, with the defaults of Kubernetes.

    Attributes:
        tolerance: ratios from 1 - tolerance to 1 + tolerance cause no change.
        downscale_window_seconds: window of the recommendations that hold back a scale-down.
        cpu_initialization_seconds: age up to which the CPU samples of a pod are checked.
        readiness_delay_seconds: a pod that became unready so soon after its start never was ready.
        burst_factor, burst_minimum: without a behavior, at most max(factor * current, minimum).
        scale_up, scale_down: default rules of a behavior.
        default_utilization: CPU target of an HPA without metrics, in percent.
        default_min_replicas: default of minReplicas.
        custom_window_seconds: default window of a custom metric's sample.
    """

    tolerance: float = 0.1
    downscale_window_seconds: float = 300.0
    cpu_initialization_seconds: float = 300.0
    readiness_delay_seconds: float = 30.0
    burst_factor: float = 2.0
    burst_minimum: int = 4
    scale_up: Rules = SCALE_UP
    scale_down: Rules = SCALE_DOWN
    default_utilization: int = 80
    default_min_replicas: int = 1
    custom_window_seconds: float = 60.0


DEFAULTS = PolicyConstants()
