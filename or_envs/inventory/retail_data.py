"""Weekly sales: a user's own tensor, or a synthetic look-alike of the published retail data."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

#: Weeks of the published tensor; week 0 is that of 2013-01-01.
WEEKS = 171
#: First and last + 1 week of the three parts; of each the first ``HISTORY`` weeks are seen only.
SPLITS = {"train": (0, 111), "dev": (88, 141), "test": (118, 171)}
HISTORY = 16
PRODUCTS = 288


def synthetic_sales(num_stores: int, seed: int = 2013) -> np.ndarray:
    """Weekly sales (288, num_stores, 171) that look like the published ones.

    Series means are log-normal with median 46 and 90 % quantile 184; sales have a yearly season, a
    peak in the two weeks before Christmas, negative binomial noise and 1 % of weeks without any.
    """
    rng = np.random.default_rng(seed)
    deviation = math.log(184 / 46) / 1.2816
    product = rng.normal(0, 0.85 * deviation, (PRODUCTS, 1))
    store = rng.normal(0, math.sqrt(1 - 0.85**2) * deviation, (PRODUCTS, num_stores))
    mean = 46 * np.exp(product + store)
    weeks = np.arange(WEEKS)
    phase = rng.uniform(0, 2 * np.pi, (PRODUCTS, 1, 1))
    season = 1 + 0.15 * np.sin(2 * np.pi * weeks / 52.18 + phase)
    peak = 1 + rng.uniform(0.2, 1.2, (PRODUCTS, 1, 1)) * np.isin(_week_of_year(weeks), (49, 50))
    expected = mean[:, :, None] * season * peak
    shape = 6.0
    sales = rng.poisson(rng.gamma(shape, expected / shape)).astype(np.float64)
    sales[rng.random(sales.shape) < 0.01] = 0.0
    return sales


def load_sales(path: str) -> np.ndarray:
    """Read a tensor of weekly sales (products, stores, weeks) from a .npy or .npz file.

    Negative sales (returns) become 0: as demand they would create stock.

    Raises
    ------
    ValueError
        If there is no such file, or it does not hold one such tensor of numbers.
    """
    file = Path(path)
    if file.suffix not in (".npy", ".npz") or not file.is_file():
        raise ValueError(f"sales: expected the path of a .npy or .npz file, got {path!r}")
    try:
        loaded = np.load(file, allow_pickle=False)
        arrays = [loaded] if isinstance(loaded, np.ndarray) else list(loaded.values())
    except (ValueError, OSError) as error:
        raise ValueError(f"sales: {path} cannot be read ({error})") from None
    if len(arrays) != 1:
        raise ValueError(f"sales: expected one array in {path}, got {len(arrays)}")
    sales = arrays[0]
    if sales.ndim != 3 or sales.dtype.kind not in "iuf" or sales.shape[2] < WEEKS:
        raise ValueError(
            f"sales: expected numbers (products, stores, weeks >= {WEEKS}), got {sales.dtype} of"
            f" shape {sales.shape}"
        )
    if not np.isfinite(sales).all():
        raise ValueError(f"sales: expected finite numbers in {path}")
    return np.maximum(sales.astype(np.float64), 0.0)


def calendar(first: int, weeks: int) -> np.ndarray:
    """What is known of weeks, (weeks, 3): sin and cos of the year, share of it to Christmas."""
    week = np.arange(first, first + weeks)
    angle = 2 * np.pi * week / 52.18
    to_christmas = (51.2 - week) % 52.18 / 52.18
    return np.stack([np.sin(angle), np.cos(angle), to_christmas], axis=1)


def _week_of_year(weeks: np.ndarray) -> np.ndarray:
    return np.floor(weeks % 52.18).astype(np.int64)
