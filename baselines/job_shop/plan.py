"""Plans of whole episodes: from machine orders to actions, and what a schedule costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from baselines.job_shop.shop import Orders, Shop
from or_envs.core import AnyProblem, simulate
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop, JobShopState
from or_envs.job_shop.shutdowns import Shutdowns


def positions(shop: Shop, orders: Orders, shape: tuple[int, ...]) -> np.ndarray:
    """Position of each operation in the order of its machine, integers (J, K) of that shape.

    Operations that are not in the shop any more have position -1.
    """
    position = np.full(shape, -1)
    for order in orders:
        for at, o in enumerate(order):
            position[shop.job[o], shop.place[o]] = at
    return position


def follow(
    problem: JobShop, instance: JobShopInstance, state: JobShopState, position: np.ndarray
) -> np.ndarray:
    """Actions (B,) that keep to machine orders: load a job whose turn it is, else wait.

    No start is later than in any schedule with these orders: circles that turn by themselves keep
    to them as well, for none of their machines could be entered by another job before.

    Parameters
    ----------
    position
        See :func:`positions`, (B, J, K).
    """
    mask = np.asarray(problem.action_mask(instance, state))
    rows = np.arange(state.num)[:, None]
    machine = np.broadcast_to(instance.machine, state.start.shape)
    never = np.iinfo(np.int64).max
    to_come = np.where(instance.exists & (state.start < 0), position, never)
    first = np.full(state.holder.shape, never)
    np.minimum.at(first, (rows[:, :, None], machine), to_come)
    following = np.minimum(state.operation, machine.shape[2] - 1)[:, :, None]
    own = np.take_along_axis(position, following, axis=2)[:, :, 0]
    target = np.take_along_axis(machine, following, axis=2)[:, :, 0]
    turn = mask[:, :-1] & (own == first[rows, target])
    return np.where(turn.any(axis=1), turn.argmax(axis=1), problem.num_jobs)


def actions_of(
    problem: JobShop, instance: JobShopInstance, exogenous: Shutdowns | None, position: np.ndarray
) -> np.ndarray:
    """Actions (T,) of a whole episode that keeps to machine orders.

    Parameters
    ----------
    instance, exogenous
        Batches of one.
    position
        See :func:`positions`, (J, K).

    Raises
    ------
    gymnasium.error.InvalidAction
        If the orders allow no schedule.
    """

    def decide(instance: Any, state: Any) -> np.ndarray:
        return follow(problem, instance, state, position[None])

    return np.asarray(simulate(problem, decide, instance, exogenous).actions[0])


def check_plannable(problem: AnyProblem) -> JobShop:
    """Return the problem if it is a job shop whose episodes cost their makespan.

    Raises
    ------
    ValueError
        If not.
    """
    if not isinstance(problem, JobShop):
        raise ValueError(f"problem: expected JobShop, got {type(problem).__name__}")
    if problem.reward == "waiting":
        raise ValueError("problem: expected a reward that adds up to the makespan, got 'waiting'")
    return problem


def check_searchable(problem: AnyProblem) -> JobShop:
    """Return the problem if every roll-out ends in a schedule, and always the same one.

    Raises
    ------
    ValueError
        If there are shutdowns, swaps are forbidden (roll-outs end in deadlocks), or see
        :func:`check_plannable`.
    """
    problem = check_plannable(problem)
    if problem.stochastic:
        raise ValueError(f"problem: expected p_down 0, got {problem.p_down}")
    if problem.blocking == "no_swap":
        raise ValueError("problem: expected blocking 'none' or 'swap', got 'no_swap'")
    return problem


def not_counted(problem: JobShop, instance: JobShopInstance) -> float:
    """What the makespan of a batch of one is more than the cost of its episode.

    With the reward "lb_delta" that is the lower bound at the start.
    """
    if problem.reward != "lb_delta":
        return 0.0
    return float(problem.lower_bound(instance, problem.initial(instance))[0])
