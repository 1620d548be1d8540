"""Exact dynamic programming of one store with lost sales: optimal orders, and any policy's cost."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numba
import numpy as np

from baselines.inventory import laws

#: Value iteration that takes longer has no single average cost to find.
MAX_SWEEPS = 20_000
#: Larger state spaces are refused.
MAX_STATES = 20_000_000


@dataclasses.dataclass(frozen=True)
class AverageCost:
    """Average cost per period of a policy, with proven ends, and its orders.

    Attributes
    ----------
    low, high
        Ends of an interval that holds the average cost (of the truncated model).
    orders
        Orders in every state, (X + 1, Q + 1, ..., Q + 1): on hand, then what arrives in 1, 2, ...
        periods.
    """

    low: float
    high: float
    orders: np.ndarray

    @property
    def value(self) -> float:
        """Middle of the interval."""
        return (self.low + self.high) / 2


@dataclasses.dataclass(frozen=True)
class LostSales:
    """One store: orders arrive after ``lead_time`` periods, unmet demand is lost.

    The state is what is on hand and the ``lead_time`` - 1 orders under way. On hand is cut off at
    ``largest_stock``.

    Parameters
    ----------
    lead_time
        Periods L >= 1 from an order to its arrival; it serves demand of period t + L.
    holding_cost, shortage_cost
        Per unit held, and per unit of demand lost.
    law
        P(D = k), k = 0, 1, ...
    largest_stock, largest_order
        Ends of the state space. The defaults are bounds on what an optimal policy does
        (Zipkin, Oper. Res. 56(4), 2008: partial inventory positions are at most the fractile
        of the demand that they meet), and a little more; other policies may need more.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are too many states.
    """

    lead_time: int
    holding_cost: float
    shortage_cost: float
    law: np.ndarray
    largest_stock: int = 0
    largest_order: int = 0

    def __post_init__(self) -> None:
        if self.lead_time < 1:
            raise ValueError(f"lead_time: expected an integer >= 1, got {self.lead_time}")
        fractile = self.shortage_cost / (self.shortage_cost + self.holding_cost)
        if not self.largest_stock:
            total = laws.convolve(self.law, self.lead_time + 1)
            object.__setattr__(self, "largest_stock", laws.quantile(total, fractile) + 2)
        if not self.largest_order:
            object.__setattr__(self, "largest_order", laws.quantile(self.law, fractile) + 2)
        states = np.prod([float(size) for size in self.shape])
        if states > MAX_STATES:
            raise ValueError(f"lead_time: {states:.3g} states, at most {MAX_STATES} are allowed")

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the state space: on hand, then orders under way."""
        return (self.largest_stock + 1, *[self.largest_order + 1] * (self.lead_time - 1))

    def states(self) -> np.ndarray:
        """All states in order, integers (S, L)."""
        return np.stack(np.unravel_index(np.arange(np.prod(self.shape)), self.shape), axis=1)

    def solve(self, tolerance: float = 1e-4) -> AverageCost:
        """Relative value iteration until the average cost is known to ``tolerance``."""
        return self._iterate(np.zeros(int(np.prod(self.shape)), dtype=np.int64), False, tolerance)

    def evaluate(
        self, policy: Callable[[np.ndarray], np.ndarray], tolerance: float = 1e-4
    ) -> AverageCost:
        """Average cost of a policy, without sampling.

        Parameters
        ----------
        policy
            Orders (S,) of states (S, L), integers; more than ``largest_order`` is cut off.

        Raises
        ------
        ValueError
            If the policy has no average cost that is the same from every state.
        """
        orders = np.minimum(np.asarray(policy(self.states())), self.largest_order)
        return self._iterate(orders.astype(np.int64), True, tolerance)

    def _iterate(self, orders: np.ndarray, fixed: bool, tolerance: float) -> AverageCost:
        cost = np.array([self._period_cost(stock) for stock in range(self.largest_stock + 1)])
        cumulative = np.concatenate([[0.0], np.cumsum(self.law)])
        law = np.zeros(self.largest_stock + 1)
        law[: len(self.law)] = self.law[: self.largest_stock + 1]
        tail = 1 - np.concatenate([cumulative, np.ones(self.largest_stock + 2)])
        value = np.zeros(len(orders))
        new = np.empty_like(value)
        base = self.largest_order + 1
        for _ in range(MAX_SWEEPS):
            low, high = _sweep(
                value, new, orders, fixed, cost, law, tail, self.lead_time, base, self.largest_stock
            )
            value, new = new - new[0], value
            if high - low <= tolerance:
                return AverageCost(low, high, orders.reshape(self.shape))
        raise ValueError(
            f"policy: its average cost is between {low:g} and {high:g}; it depends on the start"
        )

    def _period_cost(self, stock: int) -> float:
        """Expected cost of a period that starts with ``stock``; exact, tails included."""
        k = np.arange(min(stock, len(self.law)))
        left = float(self.law[k] @ (stock - k))
        mean = float(self.law @ np.arange(len(self.law)))
        return self.holding_cost * left + self.shortage_cost * (mean - stock + left)


@numba.njit(cache=True)
def _sweep(value, new, orders, fixed, cost, law, tail, lead_time, base, top):
    """One step of value iteration; writes ``new`` and, unless fixed, ``orders``.

    ``tail[x]`` is P(D >= x). Returns the least and the largest change of value, which enclose the
    average cost.
    """
    inner = base ** (lead_time - 1)
    step = base ** (lead_time - 2) if lead_time > 1 else 1
    low, high = np.inf, -np.inf
    for x in range(top + 1):
        for r in range(inner):
            s = x * inner + r
            first, last = 0, base - 1
            if fixed:
                first = last = orders[s]
            best, chosen = np.inf, 0
            for q in range(first, last + 1):
                if lead_time == 1:
                    arriving, rest = q, 0
                else:
                    arriving, rest = r // step, (r % step) * base + q
                # Without demand below x nothing is left but what arrives.
                total = tail[x] * value[min(arriving, top) * inner + rest]
                for d in range(x):
                    left = min(x - d + arriving, top)
                    total += law[d] * value[left * inner + rest]
                if total < best:
                    best, chosen = total, q
            if not fixed:
                orders[s] = chosen
            new[s] = cost[x] + best
            change = new[s] - value[s]
            low, high = min(low, change), max(high, change)
    return low, high


def base_stock(level: int) -> Callable[[np.ndarray], np.ndarray]:
    """Orders of a base-stock policy, for :meth:`LostSales.evaluate`."""
    return capped_base_stock(level, level)


def capped_base_stock(level: int, cap: int) -> Callable[[np.ndarray], np.ndarray]:
    """Orders of a capped base-stock policy, for :meth:`LostSales.evaluate`."""

    def orders(states: np.ndarray) -> np.ndarray:
        return np.clip(level - states.sum(axis=1), 0, cap)

    return orders
