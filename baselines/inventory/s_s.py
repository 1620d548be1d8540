"""Optimal (s, S) and (s, Q) policies with a fixed cost of orders; customers wait."""

from __future__ import annotations

import dataclasses

import numpy as np

from baselines.inventory import laws


@dataclasses.dataclass(frozen=True)
class ReorderPolicy:
    """A reorder point s, what is ordered up to (S) or at once (Q), and the cost per period."""

    s: int
    second: int
    cost: float


def optimal_s_s(
    lead_time: int, holding_cost: float, shortage_cost: float, fixed_cost: float, law: np.ndarray
) -> ReorderPolicy:
    """Order up to S when the position is at or below s.

    The algorithm of Zheng and Federgruen, Oper. Res. 39(4), 1991.

    Parameters
    ----------
    law
        P(D = k) of a period, k = 0, 1, ...; P(D = 0) < 1.

    Returns
    -------
    ReorderPolicy
        s, S and the average cost per period.
    """
    cost = _OneStep(lead_time, holding_cost, shortage_cost, law)
    renewals = _renewals(law)

    def average(s: int, big: int) -> float:
        m = renewals(big - s)
        periods = np.array([cost(big - j) for j in range(big - s)])
        return float((fixed_cost + m @ periods) / m.sum())

    best_level = cost.minimizer
    s, big = best_level - 1, best_level
    while average(s, big) > cost(s):
        s -= 1
    best = average(s, big)
    candidate = big + 1
    while cost(candidate) <= best:
        if average(s, candidate) < best:
            big = candidate
            while average(s, big) <= cost(s + 1):
                s += 1
            best = average(s, big)
        candidate += 1
    return ReorderPolicy(s, big, best)


def optimal_s_q(
    lead_time: int, holding_cost: float, shortage_cost: float, fixed_cost: float, law: np.ndarray
) -> ReorderPolicy:
    """Order multiples of Q when the position is at or below s, up to s + 1..s + Q.

    The order is the least multiple of Q that lifts the position above s, which is then uniform on
    s + 1..s + Q, and an order is placed in a period with probability E[min(D, Q)] / Q.

    Returns
    -------
    ReorderPolicy
        s, Q and the average cost per period.
    """
    cost = _OneStep(lead_time, holding_cost, shortage_cost, law)
    best = ReorderPolicy(0, 1, np.inf)
    demand = np.arange(len(law))
    lot = 0
    while True:
        lot += 1
        # From position s + u, u uniform on 1..Q, an order follows when demand is u or more.
        ordering = float(law @ np.minimum(demand, lot)) / lot
        s, held = cost.best_window(lot)
        total = held + fixed_cost * ordering
        if total < best.cost:
            best = ReorderPolicy(s, lot, total)
        elif held > best.cost:  # holding alone costs more, and grows with the lot
            return best


class _OneStep:
    """Expected holding and shortage cost of the period that a position faces."""

    def __init__(self, lead_time: int, holding: float, shortage: float, law: np.ndarray) -> None:
        self._total = laws.convolve(law, lead_time + 1)
        self._holding, self._shortage = holding, shortage
        self._known: dict[int, float] = {}
        self.minimizer = laws.quantile(self._total, shortage / (shortage + holding))

    def __call__(self, position: int) -> float:
        if position not in self._known:
            left = position - np.arange(len(self._total))
            per_unit = np.where(left >= 0, self._holding * left, -self._shortage * left)
            self._known[position] = float(self._total @ per_unit)
        return self._known[position]

    def best_window(self, length: int) -> tuple[int, float]:
        """The s whose positions s + 1..s + length cost least on average, and that cost."""
        s = self.minimizer - length
        # The cost is convex: slide the window while its new end costs less than its old start.
        while self(s + length + 1) < self(s + 1):
            s += 1
        return s, float(np.mean([self(s + k) for k in range(1, length + 1)]))


def _renewals(law: np.ndarray):  # type: ignore[no-untyped-def]
    """Expected visits m(j) of S - j within a cycle, as a function of how many j there are."""
    known = [1 / (1 - law[0])]

    def visits(num: int) -> np.ndarray:
        while len(known) < num:
            j = len(known)
            top = min(j, len(law) - 1)
            total = sum(law[k] * known[j - k] for k in range(1, top + 1))
            known.append(float(total / (1 - law[0])))
        return np.array(known[:num])

    return visits
