"""Numba kernels of the Lagrangian relaxation: the dynamic programs of single items.

An item's state is its stock and the set B of machines that are set up for it, a bit mask over the
k machines that can make it. Within a period the machines decide one after the other: machine j
replaces its bit and adds its output, so a period is k steps over (mask, stock) instead of all 2^k
actions in all 2^k masks. This is exact, because costs and outputs add up over machines. Demand
comes after all of them, and its expectation is taken once per post-decision state.

Post-decision stocks are 0..cap + largest demand: with more the store is full after any demand, so
the last one stands for all above.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

#: Start states less likely than this (of all masks, most are) do not count in supergradients.
NEGLIGIBLE = 1e-12


@numba.njit(cache=True, nogil=True, error_model="numpy")
def expect(law, lost_sales_cost, holding_cost, values, post_values):
    """Fill a period's post-decision values (S, X) from the next one's values (S, cap + 1)."""
    masks, stocks = values.shape
    rows = post_values.shape[1]
    largest = rows - stocks
    cost = np.zeros(rows)
    for x in range(rows):
        for d in range(law.shape[0]):
            kept = min(max(x - d, 0), stocks - 1)
            cost[x] += law[d] * (lost_sales_cost * max(d - x, 0) + holding_cost * kept)
    # After demand d, stock x has the value padded[largest + x - d].
    padded = np.empty(rows + largest)
    for s in range(masks):
        padded[:largest] = values[s, 0]
        padded[largest : largest + stocks] = values[s]
        padded[largest + stocks :] = values[s, stocks - 1]
        post = post_values[s]
        post[:] = cost
        for d in range(law.shape[0]):
            probability = law[d]
            shifted = padded[largest - d :]
            for x in range(rows):
                post[x] += probability * shifted[x]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _choose(idle, busy, cost, best, made, flag):
    # Loops with one output each are vectorised.
    for x in range(best.shape[0]):
        other = cost + busy[x]
        best[x] = other if other < idle[x] else idle[x]
    for x in range(best.shape[0]):
        made[x] |= flag if best[x] < idle[x] else np.uint16(0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def decide(output, loss, setup_cost, price, values, made):
    """Turn post-decision values (S, X) into values before the decision, in place.

    ``made`` (S, X) gets the decisions: bit j of entry (s, x) says whether machine j makes the
    item when the machines before it have left stock x and s holds their new bits.
    """
    masks, rows = values.shape
    made[:] = 0
    idle = np.empty(rows)
    padded = np.empty(rows + (output.max() if len(output) else 0))
    for j in range(output.shape[0] - 1, -1, -1):
        bit = 1 << j
        flag = np.uint16(bit)
        changed = padded[output[j] - loss[j] :]
        kept = padded[output[j] :]
        for s in range(masks):
            if s & bit:
                continue
            off, on = values[s], values[s | bit]
            idle[:] = off
            padded[:rows] = on
            padded[rows:] = on[rows - 1]
            _choose(idle, changed, price[j] + setup_cost[j], off, made[s], flag)
            _choose(idle, kept, price[j], on, made[s | bit], flag)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def solve_item(output, loss, setup_cost, price, law, lost_sales_cost, holding_cost, values, made):
    """Backward induction over the periods of ``price`` (T, k).

    ``values`` (S, cap + 1) holds the terminal values and gets those of the first period;
    ``made`` (T, S, X) gets the decisions.
    """
    post_values = np.empty(made.shape[1:])
    for t in range(price.shape[0] - 1, -1, -1):
        expect(law, lost_sales_cost, holding_cost, values, post_values)
        decide(output, loss, setup_cost, price[t], post_values, made[t])
        values[:] = post_values[:, : values.shape[1]]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def machine_use(output, loss, law, stocks, made, now, use):
    """Fill ``use`` (T, k) with the probabilities that the machines make the item.

    ``now`` (S, X) holds the probabilities of the start states; it is overwritten. ``stocks`` is
    cap + 1.
    """
    masks, rows = now.shape
    use[:] = 0.0
    after = np.empty(rows)
    for t in range(made.shape[0]):
        for j in range(output.shape[0]):
            bit = 1 << j
            fresh = output[j] - loss[j]
            for s in range(masks):
                if s & bit:
                    continue
                off, on = now[s], now[s | bit]
                if off.sum() + on.sum() < NEGLIGIBLE:
                    continue
                # Descending in stock: what moves up is not met again.
                for x in range(rows - 1, -1, -1):
                    start, stay = off[x], on[x]
                    off[x] = 0.0
                    on[x] = 0.0
                    if made[t, s, x] & bit:
                        on[min(x + fresh, rows - 1)] += start
                        use[t, j] += start
                    else:
                        off[x] += start
                    if made[t, s | bit, x] & bit:
                        on[min(x + output[j], rows - 1)] += stay
                        use[t, j] += stay
                    else:
                        off[x] += stay
        for s in range(masks):
            if now[s].sum() < NEGLIGIBLE:
                continue
            after[:] = 0.0
            for x in range(rows):
                if now[s, x] > 0.0:
                    for d in range(law.shape[0]):
                        after[min(max(x - d, 0), stocks - 1)] += law[d] * now[s, x]
            now[s] = after
