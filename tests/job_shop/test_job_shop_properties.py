"""What holds in every state of every episode."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import or_envs
from or_envs.core import simulate
from or_envs.core.actions import ActionChecker
from or_envs.job_shop.dispatching import RULES, Dispatching, play
from or_envs.job_shop.problem import JobShop
from or_envs.job_shop.schedule import Schedule, validate
from tests.job_shop.helpers import (
    BLOCKING,
    MODELS,
    best_makespan,
    problem_of,
    random_instances,
    row,
)

OUTSIDE, PROCESSING, WAITING, DONE = range(4)

problems = st.builds(
    JobShop,
    num_jobs=st.integers(1, 6),
    num_machines=st.integers(1, 5),
    blocking=st.sampled_from(BLOCKING),
    shutdown=st.sampled_from(MODELS),
    p_down=st.sampled_from([0.0, 0.1, 0.5]),
    max_downtime=st.sampled_from([None, 1, 30]),
    allow_wait=st.booleans(),
)


def check_shop(problem, instance, state):
    """One row: machines and jobs agree, and no circle that could turn is left."""
    clock, operation, status = state.clock[0], state.operation[0], state.status[0]
    holder = state.holder[0]
    held = holder[holder >= 0]
    assert len(set(held)) == len(held)
    for m in np.flatnonzero(holder >= 0):
        j = holder[m]
        assert status[j] in (PROCESSING, WAITING)
        k = operation[j] - (status[j] == WAITING)
        assert instance.machine[0, j, k] == m
        if status[j] == PROCESSING:
            assert state.finish[0, m] > clock
    for j in range(len(status)):
        on_machine = j in held
        blocks = problem.blocking != "none" and status[j] == WAITING
        assert on_machine == (status[j] == PROCESSING or blocks)
        assert (status[j] == DONE) == (operation[j] == instance.num_operations[0, j])
        assert (status[j] == OUTSIDE) == (operation[j] == 0 and not on_machine)
        assert state.ready[0, j] <= clock
    if problem.blocking == "swap":
        up = state.up_at[0] <= clock
        standing = [m for m in np.flatnonzero(holder >= 0) if status[holder[m]] == WAITING]
        for first in standing:
            m = first
            for _ in range(len(holder)):
                if m not in standing or not up[m]:
                    break
                m = instance.machine[0, holder[m], operation[holder[m]]]
                assert m != first, "a circle that could turn was left"


@settings(max_examples=150, deadline=None)
@given(problem=problems, seed=st.integers(0, 10**6))
def test_invariants_of_every_state(problem, seed):
    instance, luck = or_envs.sample(problem, seed, 1)
    checker, rng = ActionChecker(problem), np.random.default_rng(seed)

    def rule(instance, state):
        check_shop(problem, instance, state)
        mask = problem.action_mask(instance, state)
        assert mask.any()
        assert not mask[0, -1] or mask[0, :-1].any()
        return checker.sample(mask, 1, rng)

    played = simulate(problem, rule, instance, luck)
    if played.state.deadlock[0]:
        assert problem.blocking == "no_swap"
        return
    assert -played.total_reward[0] == played.state.clock[0]
    assert (
        problem.worst_completion(instance, problem.initial(instance))[0] <= played.total_reward[0]
    )
    schedule = Schedule.of_state(problem, instance, played.state)
    validate(instance, schedule, problem.blocking)
    assert schedule.makespan == played.state.clock[0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), blocking=st.sampled_from(["none", "swap"]), down=st.booleans())
def test_no_policy_beats_the_optimum_of_its_luck(seed, blocking, down):
    instance = random_instances(seed, 1)
    problem = problem_of(instance, blocking=blocking, p_down=0.3 if down else 0.0)
    luck = problem.sample_exogenous(instance, [np.random.default_rng(seed)])
    best = best_makespan(problem, instance, luck)
    patient = problem_of(instance, blocking=blocking, p_down=problem.p_down, allow_wait=False)
    non_delay = best_makespan(patient, instance, luck)
    assert best <= non_delay
    for rule in RULES[:-2]:
        found = play(problem, instance, luck, Dispatching(rule)).makespan[0]
        assert found >= non_delay
    capped = play(problem, instance, luck, Dispatching("SPT", cap=2)).makespan[0]
    assert capped >= best


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), blocking=st.sampled_from(["none", "swap"]))
def test_makespans_scale_with_durations_and_ignore_names_of_machines(seed, blocking):
    instance = random_instances(seed, 1, jobs=5, machines=4)
    problem = problem_of(instance, blocking=blocking)
    scaled = type(instance)(instance.machine, 7 * instance.duration, instance.num_operations)
    names = np.random.default_rng(seed).permutation(4)
    renamed = type(instance)(names[instance.machine], instance.duration, instance.num_operations)
    for rule in ("SPT", "MTWR", "FIFO", "FDD/MWKR"):
        before = play(problem, instance, None, Dispatching(rule)).makespan[0]
        assert play(problem, scaled, None, Dispatching(rule)).makespan[0] == 7 * before
        assert play(problem, renamed, None, Dispatching(rule)).makespan[0] == before


def test_shop_checks_can_fail():
    """The checks above see a shop that was tampered with."""
    instance = random_instances(0, 1)
    problem = problem_of(instance, blocking="swap")
    state = problem.initial(instance)
    post, _ = problem.post_decision(instance, state, np.array([0]))
    check_shop(problem, instance, post)
    post.holder[0, :] = 0
    try:
        check_shop(problem, instance, row(post, 0))
    except AssertionError:
        return
    raise AssertionError("two machines hold one job, and nothing was said")
