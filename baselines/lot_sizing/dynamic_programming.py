"""Exact dynamic programming for small lot-sizing instances."""

from __future__ import annotations

import dataclasses
import itertools
import time

import numpy as np

from baselines.common.solution import Solution
from or_envs.core import generators
from or_envs.core.actions import ActionChecker
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState

#: Larger instances are refused: state-action pairs, and pairs times demand outcomes.
MAX_PAIRS = 100_000
MAX_TRANSITIONS = 50_000_000


class ExactDP:
    """Value iteration over all states, actions and demand outcomes of one instance.

    The Bellman equation is split at the post-decision state (I^x, sigma^x)::

        V^x(s^x) = E[C^w(s^x, D) + gamma V(s')],   V(s) = min_a { C^x(s, a) + V^x(s^x) }

    Costs and successors come from the problem's own ``post_decision`` and ``transition``. States
    are numbered: stocks 0..cap of every item, then setups 0..n of every machine.

    Parameters
    ----------
    problem
        The lot-sizing problem.
    instance
        A batch of one with whole numbers of units; its start state plays no role.

    Raises
    ------
    ValueError
        If the instance has too many states or outcomes, or fractional units, or if demand has
        another law in every period.
    """

    def __init__(self, problem: LotSizing, instance: LotSizingInstance) -> None:
        if not problem.stationary_demand:
            raise ValueError("problem: exact dynamic programming needs stationary demand")
        self.problem = problem
        self.instance = instance
        self._checker = ActionChecker(problem)
        choices = self._checker.sizes
        # One number per item and machine: how many values its part of the state takes.
        caps = instance.max_inventory[0].astype(np.int64)
        self._shape = (*(caps + 1).tolist(), *choices.tolist())
        law = instance.demand_probability[0]
        support = [np.flatnonzero(item) for item in law]
        pairs = float(np.prod(self._shape, dtype=float) * np.prod(choices * 1.0))
        transitions = pairs * float(np.prod([len(units) * 1.0 for units in support]))
        if pairs > MAX_PAIRS or transitions > MAX_TRANSITIONS:
            raise ValueError(
                f"instance: exact dynamic programming needs at most {MAX_PAIRS} state-action pairs"
                f" and {MAX_TRANSITIONS} transitions, got {pairs:.3g} and {transitions:.3g}"
            )
        for name in problem.unit_fields:
            values = getattr(instance, name)
            if (values != np.floor(values)).any():
                raise ValueError(f"instance: {name}: exact dynamic programming needs whole units")
        self.states = self._all_states()
        self.actions = np.array(list(itertools.product(*map(range, choices))))
        self._decide()
        self._expect(support, law)

    # ---- the tables -------------------------------------------------------------------------

    def _all_states(self) -> LotSizingState:
        grid = np.indices(self._shape).reshape(len(self._shape), -1).T
        n = self.problem.n_items
        return LotSizingState(
            grid[:, :n].astype(np.float64), grid[:, n:].copy(), np.zeros(len(grid), dtype=np.int64)
        )

    def _decide(self) -> None:
        """Decision cost (S, A), inf where masked, and post-decision state of every pair."""
        problem, instance, states = self.problem, self.instance, self.states
        mask = problem.action_mask(instance, states)
        costs, post_states = [], []
        for action in self.actions:
            played = np.broadcast_to(action, states.setup.shape).copy()
            post, reward = problem.post_decision(instance, states, played)
            illegal = self._checker.masked(mask, played)
            costs.append(-reward if illegal is None else np.where(illegal, np.inf, -reward))
            post_states.append(np.concatenate([post.inventory, post.setup], axis=1))
        self._decision_cost = np.stack(costs, axis=1)
        # Many pairs share a post-decision state; each is expected over once.
        self._post, number = np.unique(np.concatenate(post_states), axis=0, return_inverse=True)
        self._post_of = number.reshape(len(self.actions), -1).T

    def _expect(self, support: list[np.ndarray], law: np.ndarray) -> None:
        """Expected outcome cost (U,) and transition matrix (U, S) of the post-decision states."""
        from scipy.sparse import csr_array

        n, num = self.problem.n_items, len(self._post)
        post = LotSizingState(
            self._post[:, :n], self._post[:, n:].astype(np.int64), np.zeros(num, dtype=np.int64)
        )
        self._outcome_cost = np.zeros(num)
        probabilities, successors = [], []
        for units in itertools.product(*support):
            probability = float(np.prod([law[i, k] for i, k in enumerate(units)]))
            demand = LotSizingDemand(np.tile(np.array(units, dtype=np.float64), (num, 1)))
            after, reward, _ = self.problem.transition(self.instance, post, demand)
            self._outcome_cost -= probability * reward
            probabilities.append(np.full(num, probability))
            successors.append(self.index(after))
        rows = np.tile(np.arange(num), len(successors))
        self._transition = csr_array(
            (np.concatenate(probabilities), (rows, np.concatenate(successors))),
            shape=(num, len(self.states.setup)),
        )

    def index(self, state: LotSizingState) -> np.ndarray:
        """Numbers (B,) of the given states.

        Raises
        ------
        ValueError
            If a stock is not a whole number in 0..cap.
        """
        parts = np.concatenate([state.inventory, state.setup], axis=1)
        whole = parts.astype(np.int64)
        if (whole != parts).any():
            raise ValueError("state: exact dynamic programming needs whole units in stock")
        numbers: np.ndarray = np.ravel_multi_index(tuple(whole.T), self._shape)
        return numbers

    # ---- values -----------------------------------------------------------------------------

    def backup(self, values: np.ndarray, discount: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """One Bellman step: values (S,) of the next period to values and best actions (S,)."""
        post_values = self._outcome_cost + discount * (self._transition @ values)
        q_values = self._decision_cost + post_values[self._post_of]
        best = q_values.argmin(axis=1)
        return np.take_along_axis(q_values, best[:, None], axis=1)[:, 0], best

    def discounted(self, discount: float, tolerance: float = 1e-9) -> OptimalPolicy:
        """Solve the infinite horizon by value iteration, with an error of at most ``tolerance``.

        Raises
        ------
        ValueError
            If ``discount`` is not in (0, 1).
        """
        if not 0 < discount < 1:
            raise ValueError(f"discount: expected a number in (0, 1), got {discount!r}")
        values = np.zeros(len(self.states.setup))
        while True:
            new, best = self.backup(values, discount)
            error = np.abs(new - values).max() * discount / (1 - discount)
            values = new
            if error <= tolerance:
                return OptimalPolicy(self, values[None], best[None])

    def finite_horizon(self, horizon: int) -> OptimalPolicy:
        """Solve ``horizon`` undiscounted periods without a terminal value, backwards."""
        values = np.zeros((horizon + 1, len(self.states.setup)))
        best = np.zeros((horizon, len(self.states.setup)), dtype=np.int64)
        for period in reversed(range(horizon)):
            values[period], best[period] = self.backup(values[period + 1])
        return OptimalPolicy(self, values, best)


class OptimalPolicy:
    """An optimal policy, as a rule.

    Parameters
    ----------
    dp
        The tables it was computed from.
    values
        Optimal cost-to-go of every period, (T + 1, S), or stationary, (1, S).
    best
        Numbers of optimal actions, (T, S) or (1, S).
    """

    def __init__(self, dp: ExactDP, values: np.ndarray, best: np.ndarray) -> None:
        self.dp = dp
        self.values = values
        self._best = best

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Look the optimal decisions up, (B, M)."""
        period = np.minimum(state.period, len(self._best) - 1)
        return self.dp.actions[self._best[period, self.dp.index(state)]]

    def value(self, state: LotSizingState) -> np.ndarray:
        """Optimal cost-to-go (B,) of the given states."""
        period = np.minimum(state.period, len(self.values) - 1)
        costs: np.ndarray = self.values[period, self.dp.index(state)]
        return costs


def optimal_policy(problem: LotSizing, seed: int = 0) -> OptimalPolicy:
    """Return the rule that is optimal for the problem's horizon; nothing in it is random.

    Raises
    ------
    ValueError
        If the instance is too large, or not the same in every episode.
    """
    instance = problem.sample_instances(generators(0, 2))
    data = [field for field in instance.names() if not field.startswith("initial_")]
    if any(len(getattr(instance, name)) > 1 for name in data):
        raise ValueError("problem: exact dynamic programming needs one fixed instance")
    return ExactDP(problem, instance.rows(np.array([0]))).finite_horizon(problem.horizon)


class OptimalValue:
    """Expected cost of an optimal policy from an instance's start state: a bound on all policies.

    Parameters
    ----------
    problem
        A lot-sizing problem with one fixed, small instance.
    """

    def __init__(self, problem: LotSizing, seed: int = 0) -> None:
        self.problem = problem
        self._policy = optimal_policy(problem, seed)

    def solve(
        self,
        instance: LotSizingInstance,
        exogenous: LotSizingDemand | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Look V(s_0) up; the trace is ignored.

        Raises
        ------
        ValueError
            If the instance differs from the problem's in more than its start state.
        """
        start = time.perf_counter()
        own = self._policy.dp.instance
        same = dataclasses.replace(
            instance, initial_inventory=own.initial_inventory, initial_setup=own.initial_setup
        )
        if not all(map(np.array_equal, same.leaves(), own.leaves())):
            raise ValueError("instance: its data are not those of the problem")
        value = float(self._policy.value(self.problem.initial(instance))[0])
        return Solution(None, value, value, "optimal", time.perf_counter() - start)
