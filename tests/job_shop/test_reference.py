"""The kernels play as the plain reference does, event for event."""

import numpy as np
import pytest

from or_envs.job_shop.problem import JobShop
from or_envs.job_shop.schedule import Schedule, circles, validate
from tests.job_shop.helpers import BLOCKING, MODELS, row
from tests.job_shop.reference import ReferenceShop

STATUS = {"outside": 0, "processing": 1, "waiting": 2, "done": 3}
#: Every mode under every model and without shutdowns, with and without waiting.
COMBINATIONS = [
    (blocking, model, allow_wait)
    for blocking in BLOCKING
    for model in (None, *MODELS)
    for allow_wait in (True, False)
]


def reference_of(problem, instance, luck):
    """The reference on one row."""
    sizes = instance.num_operations[0]
    machine = [
        route[:size].tolist() for route, size in zip(instance.machine[0], sizes, strict=True)
    ]
    duration = [job[:size].tolist() for job, size in zip(instance.duration[0], sizes, strict=True)]
    tables = (None, None) if luck is None else (luck.onset[0], luck.downtime[0])
    model = problem.shutdown if luck is not None else None
    return ReferenceShop(machine, duration, problem.num_machines, problem.blocking, model, tables)


def check_state(problem, instance, state, shop):
    """The state of a batch of one is that of the reference."""
    jobs = shop.jobs
    assert state.clock[0] == shop.time
    assert [state.operation[0, j] for j in jobs] == [shop.next[j] for j in jobs]
    assert [state.status[0, j] for j in jobs] == [STATUS[shop.doing[j]] for j in jobs]
    assert [state.ready[0, j] for j in jobs] == [shop.ready[j] for j in jobs]
    assert state.holder[0].tolist() == [
        -1 if shop.on[m] is None else shop.on[m] for m in shop.machines
    ]
    assert {m: state.finish[0, m] for m in shop.ends} == shop.ends
    assert np.maximum(state.up_at[0], shop.time).tolist() == [
        max(shop.up[m], shop.time) for m in shop.machines
    ]
    started = {
        (int(j), int(k)): int(state.start[0, j, k]) for j, k in np.argwhere(state.start[0] >= 0)
    }
    assert started == shop.start
    assert bool(state.deadlock[0]) == shop.deadlock
    mask = problem.action_mask(instance, state)[0]
    assert np.flatnonzero(mask[:-1]).tolist() == ([] if shop.over else shop.loads())
    assert mask[-1] == (problem.allow_wait and not shop.over and shop.may_wait())


def compare(problem, instance, luck, rng):
    """Play one random episode on both."""
    shop = reference_of(problem, instance, luck)
    state = problem.initial(instance)
    waited = 0.0
    check_state(problem, instance, state, shop)
    while not shop.over:
        mask = problem.action_mask(instance, state)[0]
        action = int(rng.choice(np.flatnonzero(mask)))
        before = shop.time
        if action == problem.num_jobs:
            shop.wait()
        else:
            shop.load(action)
        post, decision = problem.post_decision(instance, state, np.array([action]))
        state, outcome, over = problem.transition(instance, post, luck)
        check_state(problem, instance, state, shop)
        assert bool(over[0]) == shop.over
        if not shop.deadlock:
            waited -= float(decision[0] + outcome[0])
            passed = shop.time - before
            assert problem.reward != "time" or decision[0] + outcome[0] == -passed
    if problem.reward == "waiting" and not shop.deadlock:
        assert waited == shop.waited
    if not shop.deadlock:
        schedule = Schedule.of_state(problem, instance, state)
        validate(instance, schedule, problem.blocking)
        assert schedule.makespan == shop.time
        if problem.blocking == "swap" and (instance.duration[instance.exists] > 0).all():
            found = [(c.time, frozenset(c.jobs)) for c in circles(instance, schedule)]
            assert sorted(found, key=str) == sorted(shop.turned, key=str)
    return shop


def play_many(blocking, model, allow_wait, num, seed):
    rng = np.random.default_rng(seed)
    turned = deadlocks = 0
    reward = "waiting" if seed % 2 else "time"
    problem = JobShop(
        num_jobs=(1, 5),
        num_machines=(1, 4),
        blocking=blocking,
        shutdown=model or "post_operation",
        p_down=0.0 if model is None else 0.3,
        max_downtime=8,
        allow_wait=allow_wait,
        reward=reward,
    )
    rngs = [np.random.default_rng([seed, b]) for b in range(num)]
    instances = problem.sample_instances(rngs)
    # Short durations, some of no length: many things happen at once.
    duration = np.where(instances.exists, rng.integers(0, 7, instances.duration.shape), 0)
    instances = type(instances)(instances.machine, duration, instances.num_operations)
    luck = problem.sample_exogenous(instances, rngs)
    for b in range(num):
        now = None if luck is None else row(luck, b)
        shop = compare(problem, row(instances, b), now, rng)
        turned += len(shop.turned)
        deadlocks += shop.deadlock
    assert (turned > 0) == (blocking == "swap")
    assert (deadlocks > 0) == (blocking == "no_swap")


@pytest.mark.parametrize(("blocking", "model", "allow_wait"), COMBINATIONS)
def test_kernels_play_as_the_reference(blocking, model, allow_wait):
    seed = COMBINATIONS.index((blocking, model, allow_wait))
    play_many(blocking, model, allow_wait, num=42, seed=seed)
