"""Exact dynamic programming of dual sourcing, and the cost of any policy of it."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numba
import numpy as np

from baselines.inventory.lost_sales import MAX_STATES


@dataclasses.dataclass(frozen=True)
class DualCost:
    """Average cost per period of a policy, with proven ends, and its orders.

    Attributes
    ----------
    low, high
        Ends of an interval that holds the average cost (of the truncated model).
    regular, expedited
        Orders in every state (stock from ``lowest_stock``, then orders under way).
    """

    low: float
    high: float
    regular: np.ndarray
    expedited: np.ndarray

    @property
    def value(self) -> float:
        """Middle of the interval."""
        return (self.low + self.high) / 2


@dataclasses.dataclass(frozen=True)
class DualSourcingModel:
    """One store whose customers wait, a regular supplier and one that delivers at once.

    The state is the net stock after the period's receipts and the ``lead_time`` - 1 regular orders
    under way. Stocks outside the grid are moved to its ends.

    Parameters
    ----------
    lead_time
        Periods L >= 1 of the regular supplier.
    holding_cost, shortage_cost
        Per unit and period.
    regular_cost, expedited_cost
        Per unit.
    law
        P(D = k), k = 0, 1, ...
    largest_order
        Of either supplier.
    lowest_stock, highest_stock
        Ends of the grid.

    Raises
    ------
    ValueError
        If there are too many states.
    """

    lead_time: int
    holding_cost: float
    shortage_cost: float
    regular_cost: float
    expedited_cost: float
    law: np.ndarray
    largest_order: int = 8
    lowest_stock: int = -12
    highest_stock: int = 24

    def __post_init__(self) -> None:
        states = np.prod([float(size) for size in self.shape])
        if self.lead_time < 1 or states > MAX_STATES:
            raise ValueError(
                f"lead_time: expected an integer >= 1 with at most {MAX_STATES} states, got"
                f" {self.lead_time}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the state space: stock, then orders under way."""
        stocks = self.highest_stock - self.lowest_stock + 1
        return (stocks, *[self.largest_order + 1] * (self.lead_time - 1))

    def states(self) -> np.ndarray:
        """All states in order, integers (S, L): net stock, then orders under way."""
        index = np.unravel_index(np.arange(np.prod(self.shape)), self.shape)
        return np.stack([index[0] + self.lowest_stock, *index[1:]], axis=1)

    def solve(self, tolerance: float = 1e-4) -> DualCost:
        """Relative value iteration until the average cost is known to ``tolerance``."""
        zeros = np.zeros(int(np.prod(self.shape)), dtype=np.int64)
        return self._iterate(zeros, zeros.copy(), False, tolerance)

    def evaluate(
        self,
        policy: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
        tolerance: float = 1e-4,
    ) -> DualCost:
        """Average cost of a policy, without sampling.

        Parameters
        ----------
        policy
            Regular and expedited orders (S,) of states (S, L); cut off at ``largest_order``.
        """
        regular, expedited = (
            np.clip(orders, 0, self.largest_order).astype(np.int64)
            for orders in policy(self.states())
        )
        return self._iterate(regular, expedited, True, tolerance)

    def _iterate(
        self, regular: np.ndarray, expedited: np.ndarray, fixed: bool, tolerance: float
    ) -> DualCost:
        stocks = np.arange(self.lowest_stock, self.highest_stock + self.largest_order + 1)
        left = stocks[:, None] - np.arange(len(self.law))
        per_unit = np.where(left >= 0, self.holding_cost * left, -self.shortage_cost * left)
        cost = per_unit @ self.law
        value = np.zeros(len(regular))
        new = np.empty_like(value)
        while True:
            low, high = _sweep(
                value,
                new,
                regular,
                expedited,
                fixed,
                cost,
                self.law,
                self.regular_cost,
                self.expedited_cost,
                self.lead_time,
                self.largest_order + 1,
                self.shape[0],
            )
            value, new = new - new[0], value
            if high - low <= tolerance:
                shape = self.shape
                return DualCost(low, high, regular.reshape(shape), expedited.reshape(shape))


@numba.njit(cache=True)
def _sweep(
    value,
    new,
    regular,
    expedited,
    fixed,
    cost,
    law,
    regular_cost,
    expedited_cost,
    lead_time,
    base,
    stocks,
):
    """One step of value iteration; see :func:`baselines.inventory.lost_sales._sweep`."""
    inner = base ** (lead_time - 1)
    step = base ** (lead_time - 2) if lead_time > 1 else 1
    low, high = np.inf, -np.inf
    for x in range(stocks):
        for r in range(inner):
            s = x * inner + r
            best, best_r, best_e = np.inf, 0, 0
            for e in range(base):
                if fixed and e != expedited[s]:
                    continue
                for q in range(base):
                    if fixed and q != regular[s]:
                        continue
                    if lead_time == 1:
                        arriving, rest = q, 0
                    else:
                        arriving, rest = r // step, (r % step) * base + q
                    total = cost[x + e] + regular_cost * q + expedited_cost * e
                    for d in range(len(law)):
                        left = min(max(x + e - d + arriving, 0), stocks - 1)
                        total += law[d] * value[left * inner + rest]
                    if total < best:
                        best, best_r, best_e = total, q, e
            if not fixed:
                regular[s], expedited[s] = best_r, best_e
            new[s] = best
            change = best - value[s]
            low, high = min(low, change), max(high, change)
    return low, high
