"""Hand cases, exhaustive search on the environment, and brute force without it."""

import itertools

import numpy as np

from or_envs.core import concatenate
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop

BLOCKING = ("none", "swap", "no_swap")
MODELS = ("post_operation", "hazard", "preempt_resume")

#: Jobs as lists of (machine, duration), and optimal makespans by blocking mode.
HAND = {
    "T1": ([[(0, 3), (1, 2)], [(1, 2), (0, 4)]], (7, 7, 11)),
    "T2": ([[(0, 2), (1, 3)], [(1, 2), (2, 3)], [(2, 2), (0, 3)]], (5, 5, 10)),
    "T3": (
        [[(0, 4), (2, 1), (1, 3)], [(2, 3), (0, 3), (1, 4)], [(1, 2), (0, 3), (2, 2)]],
        (12, 14, 17),
    ),
    "T4": (
        [[(2, 3), (1, 2), (0, 2)], [(0, 1), (2, 2), (1, 4)], [(1, 2), (2, 3), (0, 2)]],
        (10, 12, 14),
    ),
    "T5": ([[(1, 3), (0, 1), (2, 4)], [(2, 2), (0, 3), (1, 1)]], (8, 8, 14)),
    "T6": ([[(0, 1), (1, 3)], [(1, 5), (0, 3)], [(1, 1), (0, 4)]], (9, 9, 13)),
}


def instance_of(jobs):
    """One instance of jobs given as lists of (machine, duration)."""
    return JobShopInstance.of(
        [[m for m, _ in job] for job in jobs], [[p for _, p in job] for job in jobs]
    )


def hand(name):
    return instance_of(HAND[name][0])


def problem_of(instance, **kwargs):
    """A problem of the size of an instance."""
    _, jobs, operations = instance.duration.shape
    machines = max(int(instance.machine.max()) + 1, operations)
    return JobShop(num_jobs=jobs, num_machines=machines, **kwargs)


def copies(instance, num):
    return concatenate([instance] * num)


def random_instances(seed, num, jobs=3, machines=3, longest=9, shortest=1):
    """A batch of small random instances."""
    rng = np.random.default_rng(seed)
    size = (num, jobs, machines)
    machine = rng.random(size).argsort(axis=2)
    duration = rng.integers(shortest, longest + 1, size)
    return JobShopInstance(machine, duration, np.full((num, jobs), machines))


def row(tree, b):
    return tree.rows(slice(b, b + 1))


def best_makespan(problem, instance, exogenous=None):
    """Shortest makespan over all sequences of legal actions, breadth first; inf if none ends."""
    state = problem.initial(instance)
    best = np.inf
    while True:
        mask = problem.action_mask(instance, state)
        assert mask.any(axis=1).all(), "no action is allowed before the end"
        rows, actions = np.nonzero(mask)
        num = len(rows)
        data = instance.repeat(num)
        luck = None if exogenous is None else exogenous.repeat(num)
        post, _ = problem.post_decision(data, state.rows(rows), actions)
        state, _, over = problem.transition(data, post, luck)
        done = over & ~state.deadlock
        best = min(best, state.clock[done].min(initial=np.iinfo(np.int64).max))
        # Longer ones are no better; what is left is told apart by what the future depends on.
        state = state.rows(np.flatnonzero(~over & (state.clock < best)))
        if len(state.clock) == 0:
            return best
        running = (state.holder >= 0) & (
            np.take_along_axis(state.status, np.maximum(state.holder, 0), axis=1) == 1
        )
        keys = np.concatenate(
            [
                state.clock[:, None],
                state.operation,
                state.status,
                state.holder,
                np.where(running, state.finish, 0),
                np.maximum(state.up_at, state.clock[:, None]),
                np.where(running, 0, state.idle) if state.idle.size else state.idle,
            ],
            axis=1,
        )
        _, first = np.unique(keys, axis=0, return_index=True)
        state = state.rows(first)


def brute_force(instance, blocking, downtime=None):
    """Optimal makespan of one instance by trying all orders on all machines (no environment).

    Longest paths in the alternative graph: S(b) >= S(a) + length for every arc. Positive circles
    are impossible; without swaps all circles are.
    """
    machine, duration = instance.machine[0], instance.duration[0]
    jobs, operations = duration.shape
    num = jobs * operations
    down = np.zeros_like(duration) if downtime is None else downtime
    arcs = np.full((num, num), -np.inf)
    np.fill_diagonal(arcs, -np.inf)
    for j in range(jobs):
        for k in range(operations - 1):
            arcs[j * operations + k, j * operations + k + 1] = duration[j, k]
    on = [np.flatnonzero(machine.ravel() == m) for m in range(machine.max() + 1)]
    options = []
    for places in on:
        choices = []
        for order in itertools.permutations(places):
            added = np.full((num, num), -np.inf)
            for a, b in itertools.combinations(order, 2):
                j, k = divmod(a, operations)
                last = k == operations - 1
                work = duration[j, k] + down[j, k]
                if blocking == "none" or last or down[j, k] > 0:
                    added[a, b] = max(added[a, b], work)
                if blocking != "none" and not last:
                    added[a + 1, b] = max(added[a + 1, b], 0)
            choices.append(added)
        options.append(choices)
    combined = [np.maximum.reduce([arcs, *choice]) for choice in itertools.product(*options)]
    paths = np.stack(combined)
    for via in range(num):
        paths = np.maximum(paths, paths[:, :, via, None] + paths[:, None, via, :])
    loops = np.diagonal(paths, axis1=1, axis2=2).max(axis=1)
    feasible = loops <= 0 if blocking == "swap" else loops == -np.inf
    starts = np.maximum(paths.max(axis=1), 0)
    ends = starts + duration.ravel()
    return ends.max(axis=1)[feasible].min(initial=np.inf), int(feasible.sum())


def actions_of(problem, instance, start, exogenous=None):
    """Actions (1, T) that load each machine of one instance in the order of start times (J, K)."""
    orders = {}
    for j, k in np.argwhere(instance.exists[0]):
        orders.setdefault(instance.machine[0, j, k], []).append((int(j), int(k)))
    for operations in orders.values():
        operations.sort(key=lambda o: (start[o], o))
    state, actions, over = problem.initial(instance), [], False
    while not over:
        mask = problem.action_mask(instance, state)[0]
        action = problem.num_jobs
        for operations in orders.values():
            j, k = next((o for o in operations if state.start[0][o] < 0), (-1, -1))
            if j >= 0 and mask[j] and state.operation[0, j] == k:
                action = j
        assert mask[action], "no action keeps this order"
        actions.append(action)
        post, _ = problem.post_decision(instance, state, np.array([action]))
        state, _, ends = problem.transition(instance, post, exogenous)
        over = ends[0]
    assert not state.deadlock[0], "this order is a deadlock"
    return np.array([actions])
