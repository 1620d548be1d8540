"""Lagrangian relaxation of the machines: a lower bound on the cost of every policy."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from baselines.common.solution import Solution
from baselines.common.training import training_episodes
from baselines.lot_sizing.lagrangian_kernels import machine_use, solve_item
from baselines.lot_sizing.milp import same_data
from or_envs.core import generators
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.kernels import CompiledLotSizing
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand

#: Machines that can make one item: its tables grow with 2^k, and decisions are 16-bit masks.
MAX_MACHINES = 14

#: Start states from which multipliers are found.
NUM_STARTS = 1000

# Adam: first step as a share of what the dearest item can lose per period, its decay in
# iterations, and the weights of old supergradients.
_STEP = 0.1
_DECAY = 20
_MOMENTUM = 0.7
_SCALE = 0.95


@dataclasses.dataclass(frozen=True)
class Item:
    """One item and the k machines that can make it.

    Attributes
    ----------
    machines
        Their numbers, (k,); bit j of a mask stands for ``machines[j]``.
    output, loss
        Whole units, (k,); no loss exceeds the output.
    setup_cost
        Money, (k,).
    law
        Probabilities of 0, 1, ... units of demand.
    lost_sales_cost, holding_cost
        Money per unit.
    cap
        Storage cap, units.
    """

    machines: np.ndarray
    output: np.ndarray
    loss: np.ndarray
    setup_cost: np.ndarray
    law: np.ndarray
    lost_sales_cost: float
    holding_cost: float
    cap: int

    @property
    def masks(self) -> int:
        """Sets of machines that can be set up for the item."""
        return 1 << len(self.machines)

    @property
    def rows(self) -> int:
        """Post-decision stocks that differ."""
        return self.cap + len(self.law)


class LagrangianRelaxation:
    """The problem without "a machine makes one item at a time", at a price per machine-period.

    With multipliers lambda_mt >= 0 for sum_i x_mit <= 1 the items separate, and for every policy::

        cost >= sum_i V_i(I_i, B_i) - sum_mt lambda_mt

    where V_i is the optimal cost of item i alone, the prices of its machine-periods included, and
    B_i the machines set up for it (weakly coupled dynamic programs; Hawkins 2003, Adelman and
    Mersereau 2008). The right side is concave in lambda; its supergradient is the relaxation's
    expected use of the machines minus 1, and Adam climbs it. Any multipliers give a valid bound.

    Parameters
    ----------
    problem
        A lot-sizing problem with one fixed instance and whole units.
    seed
        Picks the training start states for which the bound is maximised.
    iterations
        Steps of the search; 0 leaves all multipliers at 0.

    Raises
    ------
    ValueError
        If the problem is of another class, plays ``allow_invalid``, has fractional units, a new
        instance in every episode or too many machines for one item.
    """

    def __init__(self, problem: LotSizing, seed: int = 0, iterations: int = 100) -> None:
        if iterations < 0:
            raise ValueError(f"iterations: expected an integer >= 0, got {iterations!r}")
        self.problem = problem
        self.instance = fixed_instance(problem)
        self.items = split(self.instance)
        self.prices = np.zeros((problem.horizon, problem.n_machines))
        if iterations:
            self._maximize(training_episodes(problem, seed, NUM_STARTS)[0], iterations)

    def _maximize(self, starts: LotSizingInstance, iterations: int) -> None:
        start = [self._start(starts, i) for i in range(len(self.items))]
        instance = self.instance
        first_step = _STEP * float((instance.lost_sales_cost * instance.mean_demand).max())
        prices, average = self.prices, np.zeros_like(self.prices)
        momentum, scale = np.zeros_like(prices), np.zeros_like(prices)
        tail = (iterations + 1) // 2
        for step in range(1, iterations + 1):
            _, gradient = self.evaluate(prices, start)
            momentum = _MOMENTUM * momentum + (1 - _MOMENTUM) * gradient
            scale = _SCALE * scale + (1 - _SCALE) * gradient**2
            direction = momentum / (1 - _MOMENTUM**step)
            direction /= np.sqrt(scale / (1 - _SCALE**step) + 1e-3)
            prices = np.maximum(0, prices + first_step / (1 + (step - 1) / _DECAY) * direction)
            # The path zigzags across kinks of the bound; its later half is averaged.
            if step > iterations - tail:
                average += prices / tail
        self.prices = average

    def evaluate(self, prices: np.ndarray, start: list[np.ndarray]) -> tuple[float, np.ndarray]:
        """Bound and supergradient (T, M) at multipliers (T, M).

        Parameters
        ----------
        start
            Probabilities of each item's start states, (masks, rows) each.
        """
        bound, use = -float(prices.sum()), np.full_like(prices, -1.0)
        for item, probability in zip(self.items, start, strict=True):
            values, made = _solve(item, prices)
            bound += float((probability[:, : item.cap + 1] * values).sum())
            used = np.empty((len(prices), len(item.machines)))
            now = probability.copy()
            machine_use(item.output, item.loss, item.law, item.cap + 1, made, now, used)
            use[:, item.machines] += used
        return bound, use

    def _start(self, starts: LotSizingInstance, number: int) -> np.ndarray:
        item = self.items[number]
        probability = np.zeros((item.masks, item.rows))
        place = masks(item, starts.initial_setup, number), starts.initial_inventory[:, number]
        np.add.at(probability, (place[0], place[1].astype(np.int64)), 1 / starts.num)
        return probability

    def first_values(self) -> list[np.ndarray]:
        """V_i of the first period, (masks, cap + 1) per item."""
        return [_solve(item, self.prices)[0] for item in self.items]


class LagrangianBound:
    """Lower bound on the expected cost of every policy from an instance's start state.

    Parameters
    ----------
    problem, seed, iterations
        See :class:`LagrangianRelaxation`.
    """

    def __init__(self, problem: LotSizing, seed: int = 0, iterations: int = 100) -> None:
        self.relaxation = LagrangianRelaxation(problem, seed, iterations)
        self._values = self.relaxation.first_values()

    def value(self, instance: LotSizingInstance) -> np.ndarray:
        """Bounds (B,) for the start states of a batch.

        Raises
        ------
        ValueError
            If the instance differs from the problem's in more than its start state, or starts
            with fractional stock.
        """
        if not same_data(instance, self.relaxation.instance):
            raise ValueError("instance: its data are not those of the problem")
        stock = np.asarray(instance.initial_inventory)
        if (stock != np.floor(stock)).any():
            raise ValueError("instance: initial_inventory: the bound needs whole units")
        total = np.full(instance.num, -self.relaxation.prices.sum())
        for number, (item, values) in enumerate(
            zip(self.relaxation.items, self._values, strict=True)
        ):
            mask = masks(item, instance.initial_setup, number)
            total += values[mask, stock[:, number].astype(np.int64)]
        return total

    def solve(
        self,
        instance: LotSizingInstance,
        exogenous: LotSizingDemand | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Look the bound up; the trace is ignored.

        Raises
        ------
        ValueError
            See :meth:`value`.
        """
        start = time.perf_counter()
        value = float(self.value(instance)[0])
        return Solution(None, value, value, "relaxation", time.perf_counter() - start)


def fixed_instance(problem: LotSizing) -> LotSizingInstance:
    """The data that all episodes share, a batch of one.

    Raises
    ------
    ValueError
        If the item-wise dynamic programs do not describe the problem.
    """
    if not isinstance(problem.compiled(), CompiledLotSizing):
        raise ValueError(f"problem: expected a plain LotSizing, got {type(problem).__name__}")
    if problem.allow_invalid:
        raise ValueError("problem: the relaxation has no counterpart of allow_invalid=True")
    sampled = problem.sample_instances(generators(0, 2))
    for name in sampled.names():
        values = getattr(sampled, name)
        if len(values) > 1 and not name.startswith("initial_"):
            raise ValueError("problem: the relaxation needs one fixed instance")
        if name in ("production", "setup_loss", "max_inventory") and (values % 1 != 0).any():
            raise ValueError(f"instance: {name}: the relaxation needs whole units")
    return sampled.rows(np.array([0]))


def split(instance: LotSizingInstance) -> list[Item]:
    """Items of a batch of one.

    Raises
    ------
    ValueError
        If more than :data:`MAX_MACHINES` machines can make an item.
    """
    items = []
    for i in range(instance.max_inventory.shape[1]):
        machines = np.flatnonzero(instance.production[0, :, i] > 0)
        if len(machines) > MAX_MACHINES:
            raise ValueError(
                f"instance: production: the relaxation takes at most {MAX_MACHINES} machines per"
                f" item, item {i + 1} has {len(machines)}"
            )
        output = instance.production[0, machines, i]
        loss = np.minimum(instance.setup_loss[0, machines, i], output)
        items.append(
            Item(
                machines,
                output.astype(np.int64),
                loss.astype(np.int64),
                instance.setup_cost[0, machines, i].copy(),
                instance.demand_probability[0, i].copy(),
                float(instance.lost_sales_cost[0, i]),
                float(instance.holding_cost[0, i]),
                int(instance.max_inventory[0, i]),
            )
        )
    return items


def masks(item: Item, setup: np.ndarray, number: int) -> np.ndarray:
    """Sets (B,) of the item's machines that setups (B, M) put on it; ``number`` from 0."""
    on = setup[:, item.machines] == number + 1
    values: np.ndarray = (on << np.arange(len(item.machines))).sum(axis=1)
    return values


def _solve(item: Item, prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First-period values (masks, cap + 1) and decisions (T, masks, rows)."""
    values = np.zeros((item.masks, item.cap + 1))
    made = np.empty((len(prices), item.masks, item.rows), dtype=np.uint16)
    solve_item(
        item.output,
        item.loss,
        item.setup_cost,
        np.ascontiguousarray(prices[:, item.machines]),
        item.law,
        item.lost_sales_cost,
        item.holding_cost,
        values,
        made,
    )
    return values, made
