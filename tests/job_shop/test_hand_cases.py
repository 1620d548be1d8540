"""Cases that can be worked by hand, and optima by exhaustive search over the actions."""

import numpy as np
import pytest

from or_envs.core import simulate
from or_envs.job_shop.instances import load
from or_envs.job_shop.problem import JobShop
from or_envs.job_shop.schedule import Schedule, circles
from or_envs.job_shop.shutdowns import Shutdowns
from tests.job_shop.helpers import (
    BLOCKING,
    HAND,
    best_makespan,
    brute_force,
    hand,
    instance_of,
    problem_of,
    random_instances,
    row,
)


def play_without_choice(problem, instance, exogenous=None):
    """Always the first job that may be loaded."""

    def first(instance, state):
        return problem.action_mask(instance, state).argmax(axis=1)

    return simulate(problem, first, instance, exogenous)


@pytest.mark.parametrize("name", HAND)
@pytest.mark.parametrize(("column", "blocking"), list(enumerate(BLOCKING)))
def test_optima_of_the_hand_cases(name, column, blocking):
    instance = hand(name)
    expected = HAND[name][1][column]
    assert best_makespan(problem_of(instance, blocking=blocking), instance) == expected
    assert brute_force(instance, blocking)[0] == expected


@pytest.mark.parametrize(("name", "makespan"), [("T1", 7), ("T2", 5), ("T3", 14), ("T4", 12)])
def test_without_waiting_there_is_nothing_to_decide(name, makespan):
    problem = problem_of(hand(name), blocking="swap", allow_wait=False)
    assert play_without_choice(problem, hand(name)).total_reward[0] == -makespan
    assert best_makespan(problem, hand(name)) == makespan


@pytest.mark.parametrize("name", HAND)
def test_without_swaps_and_waiting_the_hand_cases_end_in_a_deadlock(name):
    problem = problem_of(hand(name), blocking="no_swap", allow_wait=False)
    played = play_without_choice(problem, hand(name))
    assert played.state.deadlock[0]
    assert played.total_reward[0] == -(hand(name).duration.sum() + 1)
    assert not problem.action_mask(hand(name), played.state).any()


@pytest.mark.parametrize(
    ("name", "blocking", "makespan"),
    [("T5", "none", 10), ("T5", "swap", 10), ("T6", "swap", 12)],
)
def test_best_without_waiting(name, blocking, makespan):
    problem = problem_of(hand(name), blocking=blocking, allow_wait=False)
    assert best_makespan(problem, hand(name)) == makespan


@pytest.mark.parametrize(
    ("operation", "makespan", "starts"),
    [((1, 0), 10, [[0, 6], [0, 6]]), ((0, 0), 11, [[0, 7], [0, 7]])],
)
def test_a_circle_waits_until_all_its_machines_are_up(operation, makespan, starts):
    instance = hand("T1")
    downtime = np.zeros((1, 2, 2), dtype=np.int64)
    downtime[0][operation] = 4
    luck = Shutdowns(np.zeros((1, 0, 0), dtype=np.int64), downtime)
    for allow_wait in (False, True):
        problem = problem_of(instance, blocking="swap", p_down=0.5, allow_wait=allow_wait)
        assert best_makespan(problem, instance, luck) == makespan
    played = play_without_choice(problem, instance, luck)
    assert played.total_reward[0] == -makespan
    schedule = Schedule.of_state(problem, instance, played.state)
    assert schedule.start.tolist() == starts
    assert [circle.time for circle in circles(instance, schedule)] == [starts[0][1]]
    (down,) = schedule.shutdowns
    assert (down.job, down.operation, down.end - down.start) == (*operation, 4)


def test_circles_and_the_chain_of_t3():
    instance = hand("T3")
    problem = problem_of(instance, blocking="swap")
    played = play_without_choice(problem, instance)
    schedule = Schedule.of_state(problem, instance, played.state)
    assert [(c.time, set(c.jobs)) for c in circles(instance, schedule)] == [
        (4, {0, 1}),
        (7, {1, 2}),
    ]
    assert schedule.start[0, 2] == schedule.start[2, 2] == 11
    assert schedule.end[:, 2].tolist() == [14, 11, 13]


def test_waiting_in_t5():
    """At 2 job 1 is not loaded; at 3 job 0 takes machine 0; at 4 they change places."""
    instance = hand("T5")
    problem = problem_of(instance, blocking="swap")
    state = problem.initial(instance)
    clocks = []
    for action in (0, 1, 2, 0, 1):
        assert problem.action_mask(instance, state)[0, action]
        post, _ = problem.post_decision(instance, state, np.array([action]))
        state, _, over = problem.transition(instance, post, None)
        clocks.append(int(state.clock[0]))
    assert clocks == [0, 2, 3, 7, 8]
    assert over[0]


def test_a_chain_moves_into_a_freed_machine_without_swaps():
    """Jobs 1 and 0 wait for the machines ahead of them, and move one after the other at 5."""
    jobs = [[(0, 1), (1, 2)], [(1, 1), (2, 2)], [(2, 5)]]
    instance = instance_of(jobs)
    for blocking in ("swap", "no_swap"):
        problem = problem_of(instance, blocking=blocking, allow_wait=False)
        played = play_without_choice(problem, instance)
        assert played.state.start[0, 0, 1] == played.state.start[0, 1, 1] == 5
        assert played.total_reward[0] == -7


def test_a_job_that_needs_its_own_machine_again_is_no_swap():
    instance = instance_of([[(0, 2), (0, 3), (1, 1)], [(1, 4), (0, 1), (0, 1)]])
    for blocking in BLOCKING:
        problem = problem_of(instance, blocking=blocking)
        assert best_makespan(problem, instance) < np.inf
    problem = problem_of(instance, blocking="no_swap", allow_wait=False)
    state = problem.initial(instance)
    post, _ = problem.post_decision(instance, state, np.array([0]))
    state, _, _ = problem.transition(instance, post, None)
    post, _ = problem.post_decision(instance, state, np.array([1]))
    state, _, _ = problem.transition(instance, post, None)
    assert state.start[0, 0, :2].tolist() == [0, 2]


def test_exhaustive_search_equals_brute_force_on_200_instances():
    """And more freedom is never worse."""
    instances = random_instances(0, 200)
    for b in range(200):
        instance = row(instances, b)
        found = []
        for blocking in BLOCKING:
            problem = problem_of(instance, blocking=blocking)
            found.append(best_makespan(problem, instance))
            assert found[-1] == brute_force(instance, blocking)[0], (b, blocking)
        loads = [
            instance.duration[instance.machine == m].sum()
            for m in range(instance.machine.max() + 1)
        ]
        assert max(*loads, instance.duration.sum(axis=2).max()) <= found[0]
        assert found[0] <= found[1] <= found[2] <= instance.duration.sum()


@pytest.mark.parametrize("blocking", ["none", "swap"])
def test_exhaustive_search_knowing_the_shutdowns_equals_brute_force(blocking):
    instances = random_instances(5, 12, shortest=0)
    problem = problem_of(instances, blocking=blocking, p_down=0.4)
    luck = problem.sample_exogenous(instances, [np.random.default_rng(b) for b in range(12)])
    assert (luck.downtime > 0).any()
    for b in range(12):
        instance = row(instances, b)
        found = best_makespan(problem, instance, row(luck, b))
        assert found == brute_force(instance, blocking, luck.downtime[b])[0]
        assert found >= brute_force(instance, blocking)[0]


@pytest.mark.parametrize("blocking", BLOCKING)
def test_reversed_routes_have_the_same_optimum(blocking):
    instances = random_instances(2, 12)
    reversed_ = type(instances)(
        instances.machine[:, :, ::-1].copy(),
        instances.duration[:, :, ::-1].copy(),
        instances.num_operations,
    )
    problem = problem_of(instances, blocking=blocking)
    for b in range(12):
        assert best_makespan(problem, row(instances, b)) == best_makespan(
            problem, row(reversed_, b)
        )


@pytest.mark.parametrize("blocking", BLOCKING)
def test_optimum_does_not_fall_when_a_duration_grows_nor_care_for_names(blocking):
    instances = random_instances(3, 10)
    problem = problem_of(instances, blocking=blocking)
    rng = np.random.default_rng(0)
    for b in range(10):
        instance = row(instances, b)
        before = best_makespan(problem, instance)
        longer = instance.duration.copy()
        longer[0, rng.integers(3), rng.integers(3)] += rng.integers(1, 5)
        assert (
            best_makespan(
                problem, type(instance)(instance.machine, longer, instance.num_operations)
            )
            >= before
        )
        names, order = rng.permutation(3), rng.permutation(3)
        renamed = type(instance)(
            names[instance.machine][:, order].copy(),
            instance.duration[:, order].copy(),
            instance.num_operations,
        )
        assert best_makespan(problem, renamed) == before
        scaled = type(instance)(instance.machine, 3 * instance.duration, instance.num_operations)
        assert best_makespan(problem, scaled) == 3 * before


@pytest.mark.parametrize(
    ("name", "makespan"),
    [("FT06", 69), ("LA01", 905), ("LA02", 831), ("LA03", 803), ("LA04", 817), ("LA05", 755)],
)
def test_best_without_waiting_of_published_instances(name, makespan):
    problem = JobShop(name, blocking="swap", allow_wait=False, skip_trivial=True)
    assert best_makespan(problem, load(name)) == makespan
