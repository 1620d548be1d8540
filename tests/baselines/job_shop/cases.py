"""Job shops that are solved by hand and by brute force."""

from __future__ import annotations

import itertools

import numpy as np

from baselines.job_shop.alternative_graph import earliest_starts, makespan
from baselines.job_shop.shop import Shop, remaining_shop
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop
from or_envs.job_shop.shutdowns import Shutdowns

VARIANTS = ("none", "swap", "no_swap")

#: Jobs as (machine, duration) pairs, and the optima without blocking, with swaps, without swaps.
HAND_CASES = {
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

#: Cases with a downtime after one operation (job, operation, time), and the optimum with swaps.
DOWN_CASES = {"T1+d": ("T1", (1, 0, 4), 10), "T1+d'": ("T1", (0, 0, 4), 11)}


def hand_case(name: str) -> JobShopInstance:
    """A batch of one, padded to as many operations as there are machines."""
    jobs, _ = HAND_CASES[name]
    routes, times = ([[pair[part] for pair in job] for job in jobs] for part in (0, 1))
    machines = 1 + max(max(route) for route in routes)
    return JobShopInstance.of(routes, times).padded(len(jobs), machines)


def down_case(name: str) -> tuple[JobShopInstance, Shutdowns, int]:
    """Instance, shutdowns, and the optimum with swaps."""
    case, (job, place, time), best = DOWN_CASES[name]
    instance = hand_case(case)
    downtime = np.zeros_like(instance.duration)
    downtime[0, job, place] = time
    return instance, after_operations(downtime), best


def after_operations(downtime: np.ndarray) -> Shutdowns:
    """Shutdowns of model "post_operation"."""
    return Shutdowns(np.zeros((len(downtime), 0, 0), dtype=np.int64), downtime)


def random_instance(
    rng: np.random.Generator, num_jobs: int, num_machines: int, shortest: int = 1
) -> JobShopInstance:
    """Every job visits every machine once; durations up to 9."""
    machine = rng.permuted(np.tile(np.arange(num_machines), (num_jobs, 1)), axis=1)
    duration = rng.integers(shortest, 10, (num_jobs, num_machines))
    return JobShopInstance.of(machine, duration)


def problem_of(instance: JobShopInstance, blocking: str = "swap", **settings) -> JobShop:
    """Problem that instances of this size belong to."""
    _, jobs, machines = instance.machine.shape
    return JobShop(num_jobs=jobs, num_machines=machines, blocking=blocking, **settings)


def whole_shop(problem: JobShop, instance: JobShopInstance, shutdowns=None) -> Shop:
    downtime = None if shutdowns is None else shutdowns.downtime[0]
    return remaining_shop(problem, instance, problem.initial(instance), downtime)


def selections(shop: Shop) -> list[int]:
    """Makespans in time units of all machine orders that allow a schedule."""
    found = []
    for orders in itertools.product(*(itertools.permutations(g) for g in shop.on_machine)):
        start = earliest_starts(shop, [list(order) for order in orders])
        if start is not None:
            found.append(shop.units(makespan(shop, start)))
    return found
