"""Optima over all machine orders: by hand, and how they change with the data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from baselines.job_shop.alternative_graph import earliest_starts, makespan
from or_envs.job_shop.instances import JobShopInstance
from tests.baselines.job_shop.cases import (
    DOWN_CASES,
    HAND_CASES,
    VARIANTS,
    down_case,
    hand_case,
    problem_of,
    random_instance,
    selections,
    whole_shop,
)


def optima(instance: JobShopInstance) -> list[int]:
    return [
        min(selections(whole_shop(problem_of(instance, blocking), instance)))
        for blocking in VARIANTS
    ]


@pytest.mark.parametrize("name", HAND_CASES)
def test_hand_cases(name: str) -> None:
    assert tuple(optima(hand_case(name))) == HAND_CASES[name][1]


@pytest.mark.parametrize("name", ["T3", "T4"])
def test_feasible_selections_of_the_hand_cases(name: str) -> None:
    instance = hand_case(name)
    counts = [
        len(selections(whole_shop(problem_of(instance, blocking), instance)))
        for blocking in VARIANTS
    ]
    assert counts == [63, 20, 8]  # of 216


@pytest.mark.parametrize("name", DOWN_CASES)
def test_downtimes_of_the_hand_cases(name: str) -> None:
    instance, shutdowns, best = down_case(name)
    problem = problem_of(instance, p_down=0.5)
    assert min(selections(whole_shop(problem, instance, shutdowns))) == best


@pytest.mark.parametrize("seed", range(5))
def test_invariants_of_the_optima(seed: int) -> None:
    rng = np.random.default_rng(seed)
    instance = random_instance(rng, 3, 3)
    duration, machine = instance.duration, instance.machine
    best = optima(instance)
    load = np.bincount(machine.ravel(), duration.ravel()).max()
    assert max(load, duration.sum(axis=2).max()) <= best[0] <= best[1] <= best[2] <= duration.sum()
    backwards = JobShopInstance(machine[:, :, ::-1], duration[:, :, ::-1], instance.num_operations)
    assert optima(backwards) == best
    relabelled = JobShopInstance(
        rng.permutation(3)[machine][:, [2, 0, 1]], duration[:, [2, 0, 1]], instance.num_operations
    )
    assert optima(relabelled) == best
    scaled = dataclasses.replace(instance, duration=7 * duration)
    assert optima(scaled) == [7 * value for value in best]
    longer = duration.copy()
    longer[0, rng.integers(3), rng.integers(3)] += 3
    grown = optima(dataclasses.replace(instance, duration=longer))
    assert all(new >= old for new, old in zip(grown, best, strict=True))


def test_jobs_rotate_in_a_latin_square() -> None:
    size = 4
    machine = (np.arange(size)[:, None] + np.arange(size)) % size
    instance = JobShopInstance.of(machine, np.full((size, size), 5))
    shop = whole_shop(problem_of(instance), instance)
    # Machine m sees the jobs m, m - 1, ...
    orders = [sorted(group, key=lambda o: shop.place[o]) for group in shop.on_machine]
    start = earliest_starts(shop, orders)
    assert start is not None
    assert makespan(shop, start) == 5 * size
    stuck = whole_shop(problem_of(instance, "no_swap"), instance)
    assert earliest_starts(stuck, orders) is None


def test_operations_of_no_length_do_not_pass_through_a_job() -> None:
    """B needs machine 0 first, which A holds until B has left machine 1: no schedule in turn."""
    instance = JobShopInstance.of([[0, 1], [0, 1]], [[5, 5], [0, 0]])
    shop = whole_shop(problem_of(instance), instance)
    orders = [[0, 2], [3, 1]]  # A first on machine 0, B first on machine 1
    assert earliest_starts(shop, orders) is None
    assert min(selections(shop)) == 10
