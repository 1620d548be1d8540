"""Small lot-sizing problems, through files in the reference schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from or_envs.core import sample
from or_envs.lot_sizing.instances import LotSizingInstance, to_json
from or_envs.lot_sizing.problem import LotSizing

Small = Callable[[int], tuple[LotSizing, Any, Any]]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Problem (3 items, 2 machines, T = 6), one instance and one trace per seed.

    Losses may exceed the output, stores are small enough to overflow, machine 2 cannot make item
    3, and costs have no two-digit symmetry that could hide a swap.
    """

    def build(seed: int, horizon: int = 6) -> tuple[LotSizing, Any, Any]:
        rng = np.random.default_rng(seed)
        production = rng.integers(1, 8, (1, 2, 3)).astype(float)
        production[0, 1, 2] = 0
        cap = rng.integers(3, 9, (1, 3)).astype(float)
        instance = LotSizingInstance(
            production=production,
            setup_cost=np.round(rng.uniform(0.5, 3, (1, 2, 3)), 2),
            setup_loss=rng.integers(0, 5, (1, 2, 3)).astype(float),
            holding_cost=np.round(rng.uniform(0.05, 0.5, (1, 3)), 3),
            lost_sales_cost=np.round(rng.uniform(0.3, 3, (1, 3)), 2),
            max_inventory=cap,
            demand_probability=np.ones((1, 3, 1)),
            initial_inventory=np.zeros((1, 3)),
            initial_setup=np.zeros((1, 2), dtype=np.int64),
        )
        law = {"name": "binomial", "n": 5, "p": 0.4}
        path = tmp_path / f"{seed}.json"
        path.write_text(to_json(instance, horizon, law))
        problem = LotSizing(str(path))
        return problem, *sample(problem, seed, 1)

    return build


@pytest.fixture(scope="session")
def published() -> Path:
    """Folder of the four instances published with PDPPO."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "lot-sizing"
    if not folder.is_dir():
        pytest.skip("the published instances are not here")
    return folder
