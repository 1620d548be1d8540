"""Laws of one period's demand: arrays with the probabilities of 0, 1, ..., K units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from or_envs.lot_sizing.reader import Reader

#: Laws without an end are cut where less than this probability remains, and scaled to sum to 1.
TAIL = 1e-12

#: Largest number that a file may give for a number of units.
_LARGEST = 10_000


def binomial_probability(trials: int, probability: float) -> np.ndarray:
    """Probabilities of 0..trials successes."""
    law = np.array([1.0])
    for _ in range(trials):
        law = np.convolve(law, [1 - probability, probability])
    return law


def negative_binomial_probability(mean: float, variance: float) -> np.ndarray:
    """Negative binomial law with the given moments, variance > mean; cut at :data:`TAIL`."""
    ratio = variance / mean
    size = mean / (ratio - 1)
    # The tail falls at least as fast as exp(-units / ratio), so this is far behind the cut.
    units = np.arange(math.ceil(mean + 40 * (math.sqrt(variance) + ratio)))
    coefficient = [math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1) for k in units]
    log_law = np.array(coefficient) - size * math.log(ratio) + units * math.log1p(-1 / ratio)
    return _cut(np.exp(log_law))


def normal_probability(mean: float, deviation: float) -> np.ndarray:
    """Law of a normal variable X cut to whole units; cut at :data:`TAIL`.

    Demand is the integer part of X, as in the published code, and 0 where X is negative; there
    negative demand would add to the stock. So P(0) = P(X < 1), P(k) = P(k <= X < k + 1).
    """
    last = max(1, math.ceil(mean + 40 * deviation))
    above = [0.5 * math.erfc((k - mean) / (deviation * math.sqrt(2))) for k in range(1, last + 1)]
    survival = np.array([1.0, *above])
    return _cut(survival[:-1] - survival[1:])


def discrete_uniform_probability(low: int, high: int) -> np.ndarray:
    """Uniform law on low..high - 1: the upper end is exclusive, as in the published code."""
    return np.where(np.arange(high) >= low, 1 / (high - low), 0.0)


def mixture_probability(weights: Sequence[float], laws: Sequence[np.ndarray]) -> np.ndarray:
    """Law that is ``laws[j]`` with probability ``weights[j]``."""
    mixed: np.ndarray = np.asarray(weights) @ side_by_side(laws)
    return mixed


def thinned(law: np.ndarray, probability: float) -> np.ndarray:
    """Law of the number of units that remain if each is kept with the given probability."""
    kept = np.zeros_like(law)
    for units, mass in enumerate(law):
        kept[: units + 1] += mass * binomial_probability(units, probability)
    return kept


def side_by_side(laws: Sequence[np.ndarray]) -> np.ndarray:
    """Laws of different lengths as the rows of one array (n, K + 1)."""
    rows = np.zeros((len(laws), max(map(len, laws))))
    for row, law in zip(rows, laws, strict=True):
        row[: len(law)] = law
    return rows


def _cut(law: np.ndarray) -> np.ndarray:
    remaining = np.cumsum(law[::-1])[::-1]
    law = law[remaining >= TAIL]
    scaled: np.ndarray = law / law.sum()
    return scaled


def read_demand(reader: Reader, n_items: int) -> np.ndarray:
    """Read the field ``demand_distribution`` of an instance file, (n, K + 1).

    It is one law for all items, or ``{"name": "item_specific_uniform", "distributions": [...]}``
    with a law for each. (In the published schema that name covers laws of any kind.) A law is

    - ``{"name": "binomial", "n": trials, "p": probability}``,
    - ``{"name": "discrete_uniform", "low": first, "high": last + 1}``,
    - ``{"name": "normal", "mu": mean, "sigma": deviation}``, see :func:`normal_probability`,
    - ``{"name": "probability_mass_function", "vals": [units], "probs": [probabilities]}``,

    as published, or one of ours:

    - ``{"name": "negative_binomial", "mean": mean, "variance": variance}``,
    - ``{"name": "mixture", "weights": [probabilities], "distributions": [laws]}``.

    Raises
    ------
    ValueError
        If a field is missing or wrong; the message names file and field.
    """
    where = f"{reader.source}: demand_distribution"
    law = reader.field("demand_distribution")
    if isinstance(law, dict) and law.get("name") == "item_specific_uniform":
        laws = Reader(law, where).sequence("distributions")
        if len(laws) != n_items:
            raise ValueError(f"{where}: distributions: expected {n_items} laws, got {len(laws)}")
        return side_by_side(
            [_read_law(one, f"{where}: distributions[{i}]") for i, one in enumerate(laws)]
        )
    return np.tile(_read_law(law, where), (n_items, 1))


def _read_law(law: Any, where: str) -> np.ndarray:
    reader = Reader(law, where)
    name = reader.field("name")
    if name not in tuple(_LAWS):
        raise ValueError(f"{where}: name: expected one of {', '.join(_LAWS)}, got {name!r}")
    read: np.ndarray = _LAWS[name](reader)
    return read


def _binomial(reader: Reader) -> np.ndarray:
    return binomial_probability(reader.integer("n", 1, _LARGEST), reader.number("p", 0, 1))


def _discrete_uniform(reader: Reader) -> np.ndarray:
    low = reader.integer("low", 0, _LARGEST - 1)
    return discrete_uniform_probability(low, reader.integer("high", low + 1, _LARGEST))


def _normal(reader: Reader) -> np.ndarray:
    mean = reader.number("mu", -_LARGEST, _LARGEST)
    return normal_probability(mean, reader.number("sigma", 1e-6, _LARGEST))


def _negative_binomial(reader: Reader) -> np.ndarray:
    mean = reader.number("mean", 1e-6, _LARGEST)
    # At a variance equal to the mean the law would be Poisson.
    return negative_binomial_probability(
        mean, reader.number("variance", mean * (1 + 1e-6), _LARGEST)
    )


def _probability_mass_function(reader: Reader) -> np.ndarray:
    size = len(reader.sequence("vals"))
    values = reader.array("vals", (size,), 0, _LARGEST, whole=True).astype(np.int64)
    mass = np.zeros(values.max() + 1)
    np.add.at(mass, values, _probabilities(reader, "probs", size))
    return mass


def _mixture(reader: Reader) -> np.ndarray:
    parts = reader.sequence("distributions")
    weights = _probabilities(reader, "weights", len(parts))
    laws = [_read_law(part, f"{reader.source}: distributions[{j}]") for j, part in enumerate(parts)]
    return mixture_probability(weights.tolist(), laws)


def _probabilities(reader: Reader, name: str, size: int) -> np.ndarray:
    values = reader.array(name, (size,), 0, 1)
    if abs(values.sum() - 1) > 1e-9:
        raise ValueError(f"{reader.source}: {name}: must sum to 1, sum is {values.sum()}")
    return values


_LAWS = {
    "binomial": _binomial,
    "discrete_uniform": _discrete_uniform,
    "normal": _normal,
    "probability_mass_function": _probability_mass_function,
    "negative_binomial": _negative_binomial,
    "mixture": _mixture,
}
