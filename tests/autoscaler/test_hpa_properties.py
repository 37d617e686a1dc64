"""What holds for every pass, and agreement with a second implementation."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hpa_builders import external
from hpa_oracle import desired
from hpa_strategies import NOW, PER_POD, logs, observations, rules, sizes
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.autoscaler import Behavior, HorizontalPolicy, Observation, State
from kubesim.autoscaler.policy.horizontal import propose
from kubesim.autoscaler.policy.normalize import limits_at
from kubesim.autoscaler.policy.whatif import zones
from kubesim.autoscaler.types import MetricFailed

recommend = HorizontalPolicy().recommend
many = settings(max_examples=250, deadline=None)


@many
@given(seen=observations())
def test_without_the_explanation_the_decision_is_the_same(seen: Observation) -> None:
    """Only the changes that would alter it are left out."""
    full = HorizontalPolicy().recommend(seen)
    short = HorizontalPolicy(explained=False).recommend(seen)
    assert replace(full, changes=(), would_change_if="") == replace(
        short, changes=(), would_change_if=""
    )
    assert short.changes == () or short.failed


@settings(max_examples=600, deadline=None)
@given(observations())
def test_it_agrees_with_a_second_implementation(seen: Observation) -> None:
    """Every branch, metric type, behavior and history."""
    wanted = desired(seen)
    result = recommend(seen)
    assert result.failed is (wanted is None)
    assert result.replicas == (seen.current if wanted is None else wanted)


@many
@given(observations())
def test_the_result_is_between_min_and_max(seen: Observation) -> None:
    """Unless it is paused."""
    result = recommend(seen)
    if seen.paused:
        assert result.replicas == 0
    else:
        assert seen.minimum <= result.replicas <= seen.maximum


@many
@given(observations())
def test_the_same_input_gives_the_same_output(seen: Observation) -> None:
    """The policy keeps no state between passes."""
    assert recommend(seen) == recommend(seen)


@many
@given(observations(metrics=1, kinds=PER_POD, least_pods=1))
def test_damping_never_turns_the_direction_round(seen: Observation) -> None:
    """With pods missing or unready, the proposal never moves against the first reading."""
    try:
        proposal = propose(*seen.metrics[0], seen)
    except MetricFailed:
        return
    if not any(step.rule == "second reading" for step in proposal.steps):
        return
    first = proposal.curve.measured / proposal.curve.level
    if first < 1:
        assert proposal.replicas <= seen.current
    elif first > 1:
        assert proposal.replicas >= seen.current
    else:
        assert proposal.replicas == seen.current


@many
@given(observations(metrics=1, least_pods=1), st.integers(0, 3000), st.integers(0, 3000))
def test_more_use_on_the_same_side_never_means_fewer_pods(seen, one, other) -> None:
    """Between two borders of the rules, the proposal grows with the measurement."""
    try:
        curve = propose(*seen.metrics[0], seen).curve
    except MetricFailed:
        return
    low, high = sorted((one, other))
    borders = [border for border in zones(curve) if low < border <= high]
    for start, end in pairwise([low, *borders, high + 1]):
        assert curve.at(start, rising=True) <= curve.at(end - 1, rising=True)


@many
@given(logs, sizes, sizes, st.builds(Behavior, rules, rules))
def test_stabilization_moves_only_when_the_envelope_forces_it(
    log, current, proposal, behavior
) -> None:
    """With a behavior: between current and the proposal, and no farther than needed."""
    corridor = limits_at(
        now=NOW,
        current=current,
        minimum=0,
        maximum=99,
        state=State(log),
        behavior=behavior,
    )
    stable = corridor.stabilize(proposal)
    assert min(current, proposal) <= stable <= max(current, proposal)
    windows = behavior.filled(Observation(0.0, 0, 0, (), ()).constants)
    ups = [size for size, at in log if NOW - at < windows.up.window_seconds]
    downs = [size for size, at in log if NOW - at < windows.down.window_seconds]
    if stable > current:
        assert stable == min([proposal, *ups])
    elif stable < current:
        assert stable == max([proposal, *downs])
    else:
        assert min([proposal, *ups]) <= current <= max([proposal, *downs])


@many
@given(logs, sizes, sizes)
def test_without_a_behavior_stabilization_never_lowers(log, current, proposal) -> None:
    """It is the highest of the proposal and the window."""
    corridor = limits_at(now=NOW, current=current, minimum=0, maximum=99, state=State(log))
    assert corridor.stabilize(proposal) >= proposal


@many
@given(observations(), st.integers(0, 40))
def test_a_larger_proposal_never_ends_smaller(seen: Observation, proposal: int) -> None:
    """The whole corridor is monotone, for every size that is inside the bounds."""
    if not seen.minimum <= seen.current <= seen.maximum:
        return
    corridor = limits_at(
        now=seen.now,
        current=seen.current,
        minimum=seen.minimum,
        maximum=seen.maximum,
        state=seen.state,
        behavior=seen.behavior,
    )
    assert corridor.final(proposal) <= corridor.final(proposal + 1)


@many
@given(observations())
def test_exactly_one_entry_is_logged_for_a_usable_pass(seen: Observation) -> None:
    """And none for a failed one, or one without metrics."""
    result = recommend(seen)
    before = seen.state.recommendations
    seeded = ((seen.current, NOW),) if before is None else before
    after = result.state.recommendations
    usable = any(c[2] == "ValidMetricFound" for c in result.conditions)
    if usable:
        assert (result.data["proposal"], NOW) in after
        assert len(after) - len(seeded) in (0, 1)
    else:
        assert after == seeded


@many
@given(observations(metrics=3))
def test_a_further_metric_never_shrinks_the_proposal(seen: Observation) -> None:
    """The largest wins."""
    result = recommend(seen)
    if result.data["proposal"] is None:
        return
    more = recommend(replace(seen, metrics=(*seen.metrics, external(500, average=100))))
    if not more.failed:
        assert more.data["proposal"] >= result.data["proposal"]


@many
@given(observations(metrics=1))
def test_a_metric_by_itself_is_what_the_pass_reports(seen: Observation) -> None:
    """`propose` is the public door to one metric."""
    result = recommend(seen)
    if result.readings and result.readings[0] is not None:
        alone = propose(*seen.metrics[0], seen)
        assert alone == result.readings[0]
        assert result.failed or alone.replicas == result.data["proposal"]
