"""The policy that schedules anew at every shutdown, and its view of a running shop."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from baselines.common.solution import check_replay
from baselines.job_shop.alternative_graph import earliest_starts, makespan
from baselines.job_shop.shop import remaining_shop
from baselines.registration import make
from or_envs.core import sample, simulate
from or_envs.job_shop import kernels
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop, JobShopState
from or_envs.job_shop.shutdowns import UNREACHABLE, Shutdowns
from tests.baselines.job_shop.cases import VARIANTS, selections

MODELS = ("post_operation", "hazard", "preempt_resume")
LIBRARIES = ("constraint_programming", "disjunctive")


def small(blocking: str, model: str, p_down: float = 0.3) -> JobShop:
    return JobShop(
        num_jobs=3,
        num_machines=3,
        blocking=blocking,
        shutdown=model,
        p_down=p_down,
        max_downtime=8,
    )


def best_end(problem: JobShop, instance: JobShopInstance, state: JobShopState) -> float:
    """Earliest end over all actions of the environment, if nothing fails any more."""
    calm = Shutdowns(np.full(state.down_for.shape, UNREACHABLE), np.zeros_like(state.down_for))
    if (state.status[0] == kernels.DONE).all():
        return float(state.clock[0])
    best = np.inf
    for action in np.flatnonzero(problem.action_mask(instance, state)[0]):
        post, _ = problem.post_decision(instance, state, np.array([action]))
        following, _, _ = problem.transition(instance, post, calm)
        if not following.deadlock[0]:
            best = min(best, best_end(problem, instance, following))
    return best


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("blocking", VARIANTS)
def test_what_is_left_of_a_shop_takes_as_long_as_in_the_environment(blocking, model) -> None:
    problem = small(blocking, model)
    solvers = [make(f"job_shop/{name}", problem) for name in LIBRARIES]
    if blocking != "no_swap":
        solvers.append(make("job_shop/time_indexed", problem))
    for seed in range(4):
        instance, shutdowns = sample(problem, seed, 1)
        instance = dataclasses.replace(instance, duration=instance.duration // 12)
        rng = np.random.default_rng(seed)
        state = problem.initial(instance)
        for _ in range(2 + 2 * seed):  # into the middle of an episode
            action = rng.choice(np.flatnonzero(problem.action_mask(instance, state)[0]))
            post, _ = problem.post_decision(instance, state, np.array([action]))
            following, _, over = problem.transition(instance, post, shutdowns)
            if over[0]:
                break
            state = following
        shop = remaining_shop(problem, instance, state)
        ends = selections(shop)
        expected = best_end(problem, instance, state)
        assert (state.clock[0] + min(ends) if ends else np.inf) == expected
        for solver in solvers:
            answer = solver.optimise(shop)
            assert answer.status == ("optimal" if ends else "infeasible")
            if ends:
                assert answer.bound == min(ends)
                assert shop.units(makespan(shop, earliest_starts(shop, answer.orders))) == min(ends)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("blocking", VARIANTS)
def test_without_shutdowns_it_plays_the_optimum(blocking: str, library: str) -> None:
    problem = JobShop(num_jobs=4, num_machines=3, blocking=blocking)
    instance, _ = sample(problem, 0, 3)
    policy = make("job_shop/rolling_resolve", problem, time_limit=None, library=library)
    costs = -simulate(problem, policy, instance).total_reward
    for row, cost in enumerate(costs):
        one = instance.rows(np.array([row]))
        assert make("job_shop/constraint_programming", problem).solve(one).objective == cost


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("blocking", VARIANTS)
def test_it_is_between_the_clairvoyant_and_the_rules(blocking: str, model: str) -> None:
    problem = small(blocking, model)
    instance, shutdowns = sample(problem, 0, 10)
    policy = make("job_shop/rolling_resolve", problem)
    costs = -simulate(problem, policy, instance, shutdowns).total_reward
    if model != "hazard":
        for row, cost in enumerate(costs):
            one = np.array([row])
            solver = make("job_shop/perfect_information", problem)
            solution = solver.solve(instance.rows(one), shutdowns.rows(one))
            assert solution.objective <= cost
            check_replay(problem, solution, instance.rows(one), shutdowns.rows(one))
    if blocking != "no_swap":
        for rule in ("spt", "mtwr", "fdd_mwkr"):
            played = simulate(problem, make(f"job_shop/{rule}", problem), instance, shutdowns)
            assert costs.mean() <= -played.total_reward.mean()


def test_rows_do_not_share_plans_and_episodes_do_not_either() -> None:
    problem = small("swap", "post_operation")
    policy = make("job_shop/rolling_resolve", problem)
    instance, shutdowns = sample(problem, 0, 6)
    together = -simulate(problem, policy, instance, shutdowns).total_reward
    for row in reversed(range(6)):  # the same policy meets other episodes in its first row
        one = np.array([row])
        alone = simulate(problem, policy, instance.rows(one), shutdowns.rows(one))
        assert -alone.total_reward[0] == together[row]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("blocking", VARIANTS)
def test_it_searches_at_shutdowns_only(blocking: str, model: str) -> None:
    problem = JobShop(num_jobs=5, num_machines=4, blocking=blocking, shutdown=model, p_down=0.2)
    policy = make("job_shop/rolling_resolve", problem)
    clocks: list[int] = []
    search = policy._search

    def counted(instance, state, old):
        clocks.append(int(state.clock[0]))
        return search(instance, state, old)

    policy._search = counted
    for seed in range(3):
        clocks.clear()
        instance, shutdowns = sample(problem, seed, 1)
        rollout = simulate(problem, policy, instance, shutdowns)
        failures = set(rollout.state.down_at[rollout.state.down_at >= 0].tolist())
        assert clocks[0] == 0
        assert len(clocks) == len(set(clocks)) <= 1 + len(failures)


@pytest.mark.parametrize("blocking", ["none", "swap"])
def test_without_time_it_plays_a_rule(blocking: str) -> None:
    problem = JobShop("LA16", blocking=blocking, p_down=0.1)
    instance, shutdowns = sample(problem, 0, 1)
    policy = make(
        "job_shop/rolling_resolve", problem, time_limit=0.0, library="constraint_programming"
    )
    cost = -simulate(problem, policy, instance, shutdowns).total_reward[0]
    assert cost < 3000


def test_unknown_libraries_are_refused() -> None:
    with pytest.raises(ValueError, match="library: expected one of constraint_programming, dis"):
        make("job_shop/rolling_resolve", JobShop(), 0, library="cplex")
