"""Exact solvers of the job shop against brute force, the literature, and the environment."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

from baselines.common.solution import check_replay
from baselines.registration import make
from or_envs.core import sample, simulate
from or_envs.job_shop.best_known import best_known
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop
from or_envs.job_shop.shutdowns import Shutdowns
from tests.baselines.job_shop.cases import (
    DOWN_CASES,
    HAND_CASES,
    VARIANTS,
    after_operations,
    down_case,
    hand_case,
    problem_of,
    random_instance,
    selections,
    whole_shop,
)

SOLVERS = ("disjunctive", "time_indexed", "constraint_programming")
CASES = [
    (solver, blocking)
    for solver in SOLVERS
    for blocking in VARIANTS
    if (solver, blocking) != ("time_indexed", "no_swap")
]


def optimum(
    solver: str, problem: JobShop, instance: JobShopInstance, shutdowns: Shutdowns | None = None
) -> float:
    """Makespan, proven and replayed."""
    solution = make(f"job_shop/{solver}", problem).solve(instance, shutdowns)
    assert solution.status == "optimal"
    assert solution.bound == solution.objective
    return check_replay(problem, solution, instance, shutdowns)


@pytest.mark.parametrize(("solver", "blocking"), CASES)
@pytest.mark.parametrize("name", HAND_CASES)
def test_hand_cases(name: str, solver: str, blocking: str) -> None:
    instance = hand_case(name)
    best = HAND_CASES[name][1][VARIANTS.index(blocking)]
    assert optimum(solver, problem_of(instance, blocking), instance) == best


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", DOWN_CASES)
def test_known_downtimes_of_the_hand_cases(name: str, solver: str) -> None:
    instance, shutdowns, best = down_case(name)
    problem = problem_of(instance, p_down=0.5)
    assert optimum(solver, problem, instance, shutdowns) == best
    calm = dataclasses.replace(shutdowns, downtime=0 * shutdowns.downtime)
    assert optimum(solver, problem, instance, calm) == HAND_CASES["T1"][1][1]


@pytest.mark.parametrize(("solver", "blocking"), CASES)
def test_solvers_equal_brute_force(solver: str, blocking: str) -> None:
    rng = np.random.default_rng(7)
    for jobs, machines in ((3, 3), (2, 3), (4, 2), (3, 3)):
        for shortest in (1, 0):
            instance = random_instance(rng, jobs, machines, shortest)
            problem = problem_of(instance, blocking)
            best = min(selections(whole_shop(problem, instance)))
            assert optimum(solver, problem, instance) == best


@pytest.mark.parametrize("model", ["post_operation", "preempt_resume"])
@pytest.mark.parametrize(("solver", "blocking"), CASES)
def test_clairvoyant_solvers_equal_brute_force(solver: str, blocking: str, model: str) -> None:
    for seed in range(3):
        problem = JobShop(
            num_jobs=3,
            num_machines=3,
            blocking=blocking,
            shutdown=model,
            p_down=0.4,
            max_downtime=6,
        )
        instance, _ = sample(problem, seed, 1)
        instance = dataclasses.replace(instance, duration=instance.duration // 12)
        rng = np.random.default_rng(seed)
        shutdowns = problem.sample_exogenous(instance, [rng])
        best = min(selections(whole_shop(problem, instance, shutdowns)))
        assert optimum(solver, problem, instance, shutdowns) == best


@pytest.mark.parametrize("solver", ["disjunctive", "constraint_programming"])
@pytest.mark.parametrize(("blocking", "best"), [("none", 55), ("swap", 63), ("no_swap", 69)])
def test_ft06(solver: str, blocking: str, best: int) -> None:
    problem = JobShop("FT06", blocking=blocking)
    instance, _ = sample(problem, 0, 1)
    assert optimum(solver, problem, instance) == best


@pytest.mark.slow
@pytest.mark.parametrize(("blocking", "best"), [("none", 55), ("swap", 63)])
def test_ft06_by_time_index(blocking: str, best: int) -> None:
    problem = JobShop("FT06", blocking=blocking)
    instance, _ = sample(problem, 0, 1)
    assert optimum("time_indexed", problem, instance) == best


@pytest.mark.parametrize("blocking", VARIANTS)
@pytest.mark.parametrize("name", ["LA01", "LA02", "LA03", "LA04", "LA05"])
def test_lawrence_10x5_by_constraint_programming(name: str, blocking: str) -> None:
    problem = JobShop(name, blocking=blocking)
    instance, _ = sample(problem, 0, 1)
    known = best_known(name, blocking)
    assert known is not None
    assert optimum("constraint_programming", problem, instance) == known.makespan


@pytest.mark.parametrize(("probability", "mean"), [(0.05, 96.0), (0.1, 111.2), (0.2, 161.4)])
def test_clairvoyant_optima_of_ft06_by_constraint_programming(
    probability: float, mean: float
) -> None:
    """Downtimes up to 99, drawn as for the specification's table."""
    assert clairvoyant("FT06", probability) == pytest.approx(mean)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "probability", "mean"),
    [
        ("LA01", 0.05, 828.8),
        ("LA01", 0.1, 853.0),
        ("LA01", 0.2, 917.4),
        ("LA03", 0.05, 753.4),
        ("LA03", 0.1, 787.4),
        ("LA03", 0.2, 825.4),
    ],
)
def test_clairvoyant_optima_of_lawrence_by_constraint_programming(
    name: str, probability: float, mean: float
) -> None:
    assert clairvoyant(name, probability) == pytest.approx(mean)


def clairvoyant(name: str, probability: float) -> float:
    problem = JobShop(name, blocking="swap", p_down=probability)
    instance, _ = sample(problem, 0, 1)
    found = []
    for seed in range(5):
        rng = np.random.default_rng(1000 + seed)
        shape = instance.duration.shape
        down = rng.random(shape) < probability
        shutdowns = after_operations(np.where(down, rng.integers(1, 100, shape), 0))
        found.append(optimum("constraint_programming", problem, instance, shutdowns))
    return float(np.mean(found))


@pytest.mark.parametrize("solver", ["disjunctive", "constraint_programming"])
def test_a_time_limit_leaves_a_schedule_and_a_bound(solver: str) -> None:
    problem = JobShop("LA16", blocking="swap")
    instance, _ = sample(problem, 0, 1)
    solution = make(f"job_shop/{solver}", problem).solve(instance, time_limit=1.0)
    assert solution.status == "time_limit"
    assert solution.seconds < 20
    assert solution.bound is not None
    assert 0 < solution.bound <= 1060
    if solution.actions is not None:
        assert check_replay(problem, solution, instance) >= 1060


@pytest.mark.parametrize("solver", ["disjunctive", "time_indexed", "constraint_programming"])
def test_no_time_leaves_no_plan(solver: str) -> None:
    problem = JobShop("LA01", blocking="swap")
    instance, _ = sample(problem, 0, 1)
    solution = make(f"job_shop/{solver}", problem).solve(instance, time_limit=0.0)
    assert solution.status == "time_limit"
    assert solution.actions is None or check_replay(problem, solution, instance) >= 793


@pytest.mark.parametrize("reward", ["lb_delta", "sparse"])
def test_objectives_are_in_the_problem_s_reward_by_constraint_programming(reward: str) -> None:
    instance = hand_case("T3")
    problem = problem_of(instance, reward=reward)
    solution = make("job_shop/constraint_programming", problem).solve(instance)
    free = problem.lower_bound(instance, problem.initial(instance))[0]
    expected = 14 - free if reward == "lb_delta" else 14
    assert check_replay(problem, solution, instance) == solution.bound == expected


@pytest.mark.parametrize("blocking", VARIANTS)
def test_random_play_is_not_below_the_optimum_by_constraint_programming(blocking: str) -> None:
    problem = JobShop(num_jobs=4, num_machines=3, blocking=blocking, p_down=0.2)
    for seed in range(3):
        instance, shutdowns = sample(problem, seed, 1)
        best = optimum("constraint_programming", problem, instance, shutdowns)
        rule = make("job_shop/random", problem, seed)
        played = simulate(problem, rule, instance.repeat(50), shutdowns.repeat(50))
        assert (-played.total_reward >= best).all()


@pytest.mark.parametrize(
    ("solver", "settings", "arguments", "message"),
    [
        ("disjunctive", {"allow_wait": False}, {}, "problem: expected allow_wait True, got False"),
        ("disjunctive", {"reward": "waiting"}, {}, "problem: expected a reward that adds up"),
        ("time_indexed", {"blocking": "no_swap"}, {}, "problem: expected blocking 'none' or"),
        ("constraint_programming", {}, {"workers": 0}, "workers: expected an integer >= 1, got 0"),
    ],
)
def test_what_cannot_be_solved_is_refused(solver, settings, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(f"job_shop/{solver}", JobShop(**settings), 0, **arguments)


def test_unknown_shutdowns_are_refused() -> None:
    problem = JobShop(p_down=0.1)
    instance, _ = sample(problem, 0, 1)
    with pytest.raises(ValueError, match="exogenous: exact solvers need the shutdowns"):
        make("job_shop/disjunctive", problem).solve(instance)
    problem = JobShop(p_down=0.1, shutdown="hazard")
    instance, shutdowns = sample(problem, 0, 1)
    with pytest.raises(ValueError, match="'hazard' are not modelled"):
        make("job_shop/disjunctive", problem).solve(instance, shutdowns)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(ImportError, match=r"pip install 'or-envs\[cp\]'"):
        make("job_shop/constraint_programming", JobShop())
