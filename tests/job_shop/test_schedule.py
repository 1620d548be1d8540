"""Schedules: the validator finds every kind of fault, and start times replay as actions."""

import dataclasses

import numpy as np
import pytest

import or_envs
from or_envs.core import simulate
from or_envs.job_shop.dispatching import Dispatching, play
from or_envs.job_shop.problem import JobShop
from or_envs.job_shop.schedule import Down, Schedule, circles, validate
from tests.job_shop.helpers import (
    BLOCKING,
    MODELS,
    actions_of,
    hand,
    instance_of,
    problem_of,
    random_instances,
    row,
)

T1_SWAP = [[0, 3], [0, 3]]
T1_NO_SWAP = [[0, 3], [5, 7]]


def test_t1_by_hand():
    instance = hand("T1")
    schedule = Schedule.of_starts(instance, T1_SWAP, "swap")
    validate(instance, schedule, "swap")
    assert schedule.makespan == 7
    assert schedule.leave.tolist() == [[3, 5], [3, 7]]
    (circle,) = circles(instance, schedule)
    assert (circle.time, circle.jobs, circle.machines) == (3, (0, 1), (0, 1))
    with pytest.raises(ValueError, match="jobs 0, 1 change places at 3, which blocking='no_swap'"):
        validate(instance, Schedule.of_starts(instance, T1_SWAP, "no_swap"), "no_swap")
    patient = Schedule.of_starts(instance, T1_NO_SWAP, "no_swap")
    validate(instance, patient, "no_swap")
    assert patient.makespan == 11
    assert circles(instance, patient) == []


@pytest.mark.parametrize(
    ("start", "blocking", "message"),
    [
        (
            [[0, 3], [2, 5]],
            "swap",
            "job 0, operation 1 on machine 1 starts at 3, but job 1 holds .* from 2 until 5",
        ),
        ([[0, 2], [0, 3]], "none", "ends at 3, but operation 1 starts at 2"),
        ([[0, 3], [3, 5]], "none", r"job 1, operation 0 on machine 1 starts at 3, but job 0 holds"),
        ([[0, 3], [0, 2]], "none", r"job 1, operation 1 on machine 0 starts at 2, but job 0 holds"),
        ([[0, 4], [0, 3]], "swap", r"starts at 3, but job 0 holds the machine from 0 until 4"),
        ([[0, 3], [0, -1]], "none", "job 1, operation 1 on machine 0 has no start: -1"),
    ],
)
def test_faults_of_start_times(start, blocking, message):
    instance = hand("T1")
    with pytest.raises(ValueError, match=message):
        validate(instance, Schedule.of_starts(instance, start, blocking), blocking)


def test_faults_of_ends_and_leaves():
    instance = hand("T1")
    schedule = Schedule.of_starts(instance, T1_SWAP, "swap")
    short = dataclasses.replace(schedule, end=schedule.end - np.array([[0, 1], [0, 0]]))
    with pytest.raises(
        ValueError, match="job 0, operation 1 on machine 1 lasts 2, but starts at 3"
    ):
        validate(instance, short, "swap")
    early = dataclasses.replace(schedule, leave=np.array([[3, 5], [2, 7]]))
    with pytest.raises(
        ValueError, match="job 1, operation 0 on machine 1 is left at 2, expected 3"
    ):
        validate(instance, early, "swap")
    with pytest.raises(ValueError, match=r"start: expected shape \(2, 2\), got \(2, 1\)"):
        validate(instance, dataclasses.replace(schedule, start=schedule.start[:, :1]), "swap")
    with pytest.raises(ValueError, match="blocking: expected 'none', 'swap' or 'no_swap'"):
        validate(instance, schedule, "maybe")


def test_nobody_enters_a_machine_that_is_down():
    instance = hand("T1")
    downtime = np.array([[0, 0], [4, 0]])
    early = Schedule.of_starts(instance, T1_SWAP, "swap", downtime)
    assert early.shutdowns == (Down(1, 2, 6, 1, 0),)
    with pytest.raises(
        ValueError, match="job 0, operation 1 on machine 1 starts at 3, but the machine is down"
    ):
        validate(instance, early, "swap")
    validate(instance, Schedule.of_starts(instance, [[0, 6], [0, 6]], "swap", downtime), "swap")
    # A job may leave it: machine 1 is down when job 1 goes to machine 0.
    jobs = instance_of([[(1, 2), (0, 2)], [(1, 1)]])
    leaves = Schedule.of_starts(jobs, [[0, 2], [5, 0]], "swap", np.array([[3, 0], [0, 0]]))
    validate(jobs, leaves, "swap")


def test_an_interruption_lengthens_the_operation():
    instance = instance_of([[(0, 5)]])
    start = np.array([[0]])
    end = np.array([[9]])
    with pytest.raises(ValueError, match="lasts 5, but starts at 0 and ends at 9"):
        validate(instance, Schedule(start, end, end), "swap")
    validate(instance, Schedule(start, end, end, (Down(0, 2, 6, 0, 0),)), "swap")


def test_schedules_in_the_making():
    problem = JobShop(num_jobs=4, num_machines=3, blocking="swap")
    instance, _ = or_envs.sample(problem, 0, 1)
    state = problem.initial(instance)
    nothing = Schedule.of_state(problem, instance, state)
    assert (nothing.start == -1).all()
    assert (nothing.leave == -1).all()
    post, _ = problem.post_decision(instance, state, np.array([2]))
    one = Schedule.of_state(problem, instance, post)
    assert np.argwhere(one.start >= 0).tolist() == [[2, 0]]
    assert one.end[2, 0] == instance.duration[0, 2, 0]
    assert one.leave[2, 0] == -1
    with pytest.raises(ValueError, match="has no start"):
        validate(instance, one, "swap")


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.parametrize("model", [None, *MODELS])
def test_played_schedules_are_valid_and_their_start_times_replay(blocking, model):
    problem = JobShop(
        num_jobs=(2, 5),
        num_machines=(2, 4),
        blocking=blocking,
        shutdown=model or "post_operation",
        p_down=0.0 if model is None else 0.3,
    )
    instance, luck = or_envs.sample(problem, 4, 12)
    played = play(problem, instance, luck, Dispatching("RANDOM"), seeds=np.arange(12))
    complete = np.flatnonzero(~played.state.deadlock)
    assert len(complete) > 0
    shutdowns = 0
    for b in complete:
        one = row(instance, b)
        now = None if luck is None else row(luck, b)
        schedule = Schedule.of_state(problem, instance, played.state, int(b))
        validate(one, schedule, blocking)
        assert schedule.makespan == played.makespan[b]
        actions = actions_of(problem, one, schedule.start, now)
        again = simulate(problem, actions, one, now)
        assert -again.total_reward[0] == played.makespan[b]
        shutdowns += len(schedule.shutdowns)
    assert (shutdowns > 0) == (model is not None)


def test_late_start_times_are_moved_to_the_left():
    instance = hand("T1")
    problem = problem_of(instance, blocking="swap")
    actions = actions_of(problem, instance, np.array([[0, 13], [0, 13]]))
    assert -simulate(problem, actions, instance).total_reward[0] == 7
    other = problem_of(instance, blocking="no_swap")
    actions = actions_of(other, instance, np.array(T1_NO_SWAP))
    assert -simulate(other, actions, instance).total_reward[0] == 11
    with pytest.raises(AssertionError, match="this order is a deadlock"):
        actions_of(other, instance, np.array(T1_SWAP))


def test_every_operation_that_starts_too_early_is_found():
    """Nothing in a schedule without delays can start earlier."""
    instances = random_instances(0, 5)
    for b in range(5):
        instance = row(instances, b)
        problem = problem_of(instance, blocking="swap")
        played = play(problem, instance, None, Dispatching("SPT"))
        start = played.state.start[0]
        for j, k in np.argwhere(start > 0):
            moved = start.copy()
            moved[j, k] -= 1
            with pytest.raises(ValueError, match=r"starts at|ends at"):
                validate(instance, Schedule.of_starts(instance, moved, "swap"), "swap")
