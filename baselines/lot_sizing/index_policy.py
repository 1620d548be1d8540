"""Index policy: one-period costs plus the Lagrangian values of the items."""

from __future__ import annotations

import operator

import numpy as np

from baselines.common.training import training_episodes
from baselines.lot_sizing.index_kernels import Tables, index_policy
from baselines.lot_sizing.lagrangian import Item, LagrangianRelaxation
from baselines.lot_sizing.lagrangian_kernels import decide, expect
from baselines.lot_sizing.milp import same_data
from or_envs.core import simulate
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingState

#: What is tried as surcharge, a share of what the dearest item can lose per period, and as factor
#: of the multipliers.
SURCHARGES = (0.0, 0.02, 0.05, 0.1, 0.15)
SCALES = (0.8, 0.9, 1.0, 1.1, 1.2)

#: Machines that the policy puts on one item at a time; larger sets would fill the memory.
MAX_TOGETHER = 2


class IndexPolicy:
    """Minimises setup cost plus post-decision values of the items, by local search.

    The value of item i after a decision, V^x_it(I^x_i, A_i), is that of the Lagrangian relaxation
    at its best multipliers, see :class:`baselines.lot_sizing.lagrangian.LagrangianRelaxation`:
    machines cost their price in all later periods. In the present one they are simply scarce. The
    search starts from the current setups and takes the best change of one machine until none
    helps. The multipliers that bound best need not decide best, since items that share a machine
    in the relaxation are in each other's way here: a surcharge on all of them and then a factor
    are chosen by cost on training episodes.

    Parameters
    ----------
    problem, seed, iterations
        See :class:`baselines.lot_sizing.lagrangian.LagrangianRelaxation`.
    num_episodes
        Training episodes that judge a choice.
    """

    def __init__(
        self, problem: LotSizing, seed: int = 0, iterations: int = 100, num_episodes: int = 200
    ) -> None:
        self.relaxation = LagrangianRelaxation(problem, seed, iterations)
        self._checked: list[np.ndarray] = []
        # The relaxation has used the seed's first training episodes for their start states only.
        episodes = training_episodes(problem, seed, num_episodes)
        instance = self.relaxation.instance
        unit = float((instance.lost_sales_cost * instance.mean_demand).max())

        def cost(surcharge: float, scale: float) -> float:
            prices = scale * (self.relaxation.prices + surcharge * unit)
            self.tables = tabulate(self.relaxation.items, prices)
            return -float(simulate(problem, self, *episodes).total_reward.mean())

        surcharge = min(SURCHARGES, key=lambda value: cost(value, 1.0))
        scale = min(SCALES, key=lambda value: cost(surcharge, value))
        self.settings = {"surcharge": surcharge, "scale": scale}
        cost(surcharge, scale)  # leaves the tables of the choice

    def check(self, instance: LotSizingInstance, state: LotSizingState) -> None:
        """Refuse what the tables do not hold.

        Raises
        ------
        ValueError
            If the instance differs from the problem's in more than its start state, or a stock is
            fractional.
        """
        # Comparing takes longer than deciding, so the arrays that passed are remembered.
        data = [
            getattr(instance, name) for name in instance.names() if not name.startswith("initial_")
        ]
        if len(self._checked) != len(data) or not all(map(operator.is_, data, self._checked)):
            if not same_data(instance, self.relaxation.instance):
                raise ValueError("instance: its data are not those of the problem")
            self._checked = data
        if (state.inventory % 1 != 0).any():
            raise ValueError("state: the item values need whole units in stock")

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Return the decisions, (B, M)."""
        self.check(instance, state)
        action = np.empty_like(state.setup)
        index_policy(self.tables, state.inventory, state.setup, self.period(state), action)
        return action

    def period(self, state: LotSizingState) -> np.ndarray:
        """Periods (B,) of the tables; after the end of an episode the last one."""
        last = len(self.tables.values) - 1
        periods: np.ndarray = np.minimum(state.period, last)
        return periods


def tabulate(items: list[Item], prices: np.ndarray) -> Tables:
    """Post-decision values at multipliers (T, M), for sets of at most MAX_TOGETHER machines."""
    shape = (prices.shape[1], len(items))
    bit = np.zeros(shape, np.int64)
    output, loss = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    setup_cost = np.zeros(shape)
    columns, values = [], []
    for i, item in enumerate(items):
        mask = np.arange(item.masks)
        stored = np.flatnonzero(np.bitwise_count(mask) <= MAX_TOGETHER)
        column = np.full(item.masks, -1, np.int64)
        column[stored] = np.arange(len(stored))
        columns.append(column)
        values.append(_post_values(item, prices, stored))
        bit[item.machines, i] = 1 << np.arange(len(item.machines))
        output[item.machines, i] = item.output
        loss[item.machines, i] = item.loss
        setup_cost[item.machines, i] = item.setup_cost
    first = np.cumsum([0] + [part.shape[1] for part in values[:-1]])
    offset = np.cumsum([0] + [len(part) for part in columns[:-1]])
    return Tables(
        values=np.concatenate(values, axis=1),
        first=first,
        rows=np.array([item.rows for item in items]),
        column=np.concatenate(columns),
        offset=offset,
        bit=bit,
        output=output,
        loss=loss,
        setup_cost=setup_cost,
    )


def _post_values(item: Item, prices: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """V^x of one item for the masks ``stored``, (T, len(stored) * rows), float32."""
    table = np.empty((len(prices), len(stored) * item.rows), np.float32)
    values = np.zeros((item.masks, item.cap + 1))
    post = np.empty((item.masks, item.rows))
    made = np.empty((item.masks, item.rows), np.uint16)
    for t in reversed(range(len(prices))):
        expect(item.law, item.lost_sales_cost, item.holding_cost, values, post)
        table[t] = post[stored].ravel()
        decide(item.output, item.loss, item.setup_cost, prices[t, item.machines], post, made)
        values[:] = post[:, : item.cap + 1]
    return table
