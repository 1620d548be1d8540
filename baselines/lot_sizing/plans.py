"""Plans on a scenario tree: what they cost when they are played, and simple ones to start from."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from baselines.lot_sizing.rules import GreedyCover
from baselines.lot_sizing.scenario_tree import ScenarioTree
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState

#: (cover, setup_weight, stay_bonus) of the greedy cover rules whose plans are tried. Without the
#: bonus machines rest when stocks are high; with it they hardly ever change over.
START_RULES = np.array(list(itertools.product((1.0, 1.5, 2.0, 3.0), (0.0, 0.3, 0.6), (0.0, 4.0))))


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """What B plans lead to in the N outcomes of a tree.

    Attributes
    ----------
    cost
        Expected cost of each plan, (B,).
    stock
        Units left, (B, N, n).
    lost
        Unmet demand, (B, N, n).
    overflow
        Units that vanish above the cap, (B, N, n).
    """

    cost: np.ndarray
    stock: np.ndarray
    lost: np.ndarray
    overflow: np.ndarray


def play(
    problem: LotSizing,
    instance: LotSizingInstance,
    state: LotSizingState,
    tree: ScenarioTree,
    plans: np.ndarray,
) -> Outcomes:
    """Play plans (B, K, M) through the problem's own functions.

    Parameters
    ----------
    instance, state
        Batches of one.
    """
    num, n = len(plans), tree.demand.shape[1]
    shape = (num, len(tree.decision), n)
    stock, lost, overflow = np.empty(shape), np.empty(shape), np.empty(shape)
    cost = np.zeros(num)
    for stage, outcomes in enumerate(tree.stages):
        decision = tree.decision[outcomes]
        size = num * len(outcomes)
        if stage == 0:
            inventory = np.tile(state.inventory, (size, 1))
            setup = np.tile(state.setup, (size, 1))
        else:
            inventory = stock[:, tree.previous_outcome[outcomes]].reshape(size, n)
            setup = plans[:, tree.previous_decision[decision]].reshape(size, -1)
        before = LotSizingState(inventory, setup, np.full(size, state.period[0] + stage))
        action = plans[:, decision].reshape(size, -1)
        demand = np.tile(tree.demand[outcomes], (num, 1))
        post, decision_reward = problem.post_decision(instance, before, action)
        after, outcome_reward, _ = problem.transition(instance, post, LotSizingDemand(demand))
        left = post.inventory - demand
        stock[:, outcomes] = after.inventory.reshape(num, -1, n)
        lost[:, outcomes] = np.maximum(-left, 0).reshape(num, -1, n)
        surplus = np.maximum(left - instance.max_inventory, 0)
        overflow[:, outcomes] = surplus.reshape(num, -1, n)
        reward = (decision_reward + outcome_reward).reshape(num, -1)
        cost -= reward @ tree.probability[outcomes]
    return Outcomes(cost, stock, lost, overflow)


def start_plans(
    problem: LotSizing, instance: LotSizingInstance, state: LotSizingState, tree: ScenarioTree
) -> np.ndarray:
    """Plans (B, K, M) of idleness and of several greedy cover rules on the tree.

    Where a decision does not know which of several outcomes came before it, the rule sees their
    expected stock. Idleness is first: it never makes stock vanish above the cap.
    """
    rule = GreedyCover(*START_RULES.T)
    num, (n_machines, n) = len(START_RULES), instance.production.shape[1:]
    plans = np.zeros((num, len(tree.previous_decision), n_machines), dtype=np.int64)
    stock = np.empty((num, len(tree.decision), n))
    for stage, outcomes in enumerate(tree.stages):
        for decision in np.unique(tree.decision[outcomes]):
            own = outcomes[tree.decision[outcomes] == decision]
            if stage == 0:
                inventory = np.repeat(state.inventory, num, axis=0)
                setup = np.repeat(state.setup, num, axis=0)
            else:
                before = tree.previous_outcome[own]
                weight = tree.probability[before]
                # A decision after outcomes of probability 0 still needs some stock to see.
                weight = weight / weight.sum() if weight.sum() else np.full(len(own), 1 / len(own))
                inventory = np.einsum("bon,o->bn", stock[:, before], weight)
                setup = plans[:, tree.previous_decision[decision]]
            here = LotSizingState(inventory, setup, np.full(num, state.period[0] + stage))
            action = rule(instance, here)
            plans[:, decision] = action
            for outcome in own:
                k = tree.previous_outcome[outcome]
                known = inventory if k < 0 else stock[:, k]
                post, _ = problem.post_decision(
                    instance, dataclasses.replace(here, inventory=known), action
                )
                demand = np.repeat(tree.demand[outcome : outcome + 1], num, axis=0)
                after, _, _ = problem.transition(instance, post, LotSizingDemand(demand))
                stock[:, outcome] = after.inventory
    return np.concatenate([np.zeros_like(plans[:1]), plans])
