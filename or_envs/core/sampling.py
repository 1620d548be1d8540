"""Compiled sampling from discrete laws."""

from __future__ import annotations

import numba
import numpy as np


def invert(draws: np.ndarray, cumulative: np.ndarray) -> np.ndarray:
    """Turn uniforms into discrete values 0..K by inversion of the distribution function.

    Parameters
    ----------
    draws
        Uniforms on [0, 1), (B, T, n).
    cumulative
        Cumulative probabilities of 0..K, (B, n, K + 1) or shared, (1, n, K + 1).

    Returns
    -------
    Values as floats, (B, T, n).
    """
    values = np.empty_like(draws)
    _invert(draws, np.ascontiguousarray(cumulative), values)
    return values


@numba.njit(cache=True)
def _invert(draws, cumulative, values):  # type: ignore[no-untyped-def]
    rows, steps, n = draws.shape
    last = cumulative.shape[2] - 1
    middle = np.empty(n, dtype=np.int64)
    for b in range(rows):
        law = cumulative[b if cumulative.shape[0] > 1 else 0]
        for i in range(n):  # walks start at the median
            k = 0
            while k < last and law[i, k] < 0.5:
                k += 1
            middle[i] = k
        for t in range(steps):
            for i in range(n):
                u = draws[b, t, i]
                k = middle[i]
                while k > 0 and u < law[i, k - 1]:
                    k -= 1
                while k < last and u >= law[i, k]:
                    k += 1
                values[b, t, i] = k
