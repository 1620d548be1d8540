"""Instances of the stochastic discrete lot-sizing problem: law, shipped data, file reader."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.core.random import Generators, uniform
from or_envs.lot_sizing.demand import (
    binomial_probability,
    negative_binomial_probability,
    read_demand,
)
from or_envs.lot_sizing.reader import Reader

#: Instances shipped with the package, by name. "<n>x<M>" is
#: ``generate(n, M, generators(1000 n + M, 1))``, "<family>-15x5" is
#: ``generate(15, 5, generators(15005, 1), family)``. "10x5" and "VI-A" to "VI-C" are data of
#: the article doi 10.1016/j.eswa.2023.123036 (repository leokan92/discrete_lot_sizing_rl_agents);
#: 10x5 has the 10 periods of the article's evaluation.
NAMES = (
    *("15x5", "20x10", "25x10", "25x15", "10x5", "VI-A", "VI-B", "VI-C"),
    *("tight-15x5", "graded-15x5", "negbin-15x5"),
)


@dataclasses.dataclass(frozen=True)
class LotSizingInstance(Arrays):
    """Data of the stochastic discrete lot-sizing problem; n items, M machines.

    Items are 1..n and 0 is "idle" in setups and actions; arrays over items start at item 1.

    Attributes
    ----------
    production
        Units machine m makes of item i in a full period, 0 = cannot, (B, M, n).
    setup_cost, setup_loss
        Money, and units lost, in the period of a change-over, (B, M, n).
    holding_cost, lost_sales_cost
        Money per unit and period, and per unit of unmet demand, (B, n).
    max_inventory
        Storage cap in units, (B, n).
    demand_probability
        Law of one period's demand: probability of 0, 1, ..., K units, (B, n, K + 1).
    initial_inventory
        Units in stock at the start, (B, n).
    initial_setup
        Item each machine is set up for at the start, integers 0..n, (B, M).
    """

    production: Array
    setup_cost: Array
    setup_loss: Array
    holding_cost: Array
    lost_sales_cost: Array
    max_inventory: Array
    demand_probability: Array
    initial_inventory: Array
    initial_setup: Array

    @property
    def mean_demand(self) -> Array:
        """Expected demand per period, (B, n); numpy."""
        units = np.arange(self.demand_probability.shape[-1])
        mean: np.ndarray = (self.demand_probability * units).sum(axis=-1)
        return mean


#: Laws of random instances, see :func:`generate`.
Family = Literal["published", "tight", "graded", "negbin"]

#: Upper ends of the lost-sales costs of a family.
LARGEST_LOST_SALES_COST = {"published": 1.1, "tight": 1.1, "graded": 2.0, "negbin": 1.1}


def generate(
    n_items: int, n_machines: int, rngs: Generators, family: Family = "published"
) -> LotSizingInstance:
    """Draw instances from the law of those published with PDPPO, or from a harder one.

    The published law is that of ``generate_setting.py`` in the repository leokan92/pdppo: p = 0
    with probability 0.4, else U{1..40}; setup cost 15 with probability 0.2, else U{16..30}; setup
    loss 1 with probability 0.7, else 2 or 3; lost-sales cost 0.1 or 1.1; holding cost 0.01; cap
    100; demand Binomial(20, 0.4). A machine that can make nothing, or an item that no machine can
    make, is possible. The other families differ in one place:

    - "tight": exactly 2 M items, drawn at random, have lost-sales cost 1.1, so that machines must
      rotate;
    - "graded": lost-sales cost U[0.2, 2], in hundredths;
    - "negbin": demand negative binomial with mean 8 and variance 24, cut where less than 1e-12
      of probability remains.

    Raises
    ------
    ValueError
        If the family is unknown, or "tight" with fewer than 2 M items.
    """
    if family not in LARGEST_LOST_SALES_COST:
        raise ValueError(
            f"family: expected one of {', '.join(LARGEST_LOST_SALES_COST)}, got {family!r}"
        )
    if family == "tight" and n_items < 2 * n_machines:
        raise ValueError(
            f"n_items: family='tight' needs at least 2 * n_machines = {2 * n_machines},"
            f" got {n_items}"
        )
    pairs = (n_machines, n_items)
    u = uniform(rngs, (5, *pairs))
    v = uniform(rngs, (3, n_items))
    w = uniform(rngs, (2, n_machines))
    num = len(rngs)
    if family == "tight":
        rank = v[:, 0].argsort(axis=1).argsort(axis=1)
        lost_sales_cost = np.where(rank < 2 * n_machines, 1.1, 0.1)
    elif family == "graded":
        lost_sales_cost = np.round(0.2 + 1.8 * v[:, 0], 2)
    else:
        lost_sales_cost = np.where(v[:, 0] < 0.5, 0.1, 1.1)
    if family == "negbin":
        law = negative_binomial_probability(8.0, 24.0)
    else:
        law = binomial_probability(20, 0.4)
    return LotSizingInstance(
        production=np.where(u[:, 0] < 0.4, 0.0, 1 + np.floor(40 * u[:, 1])),
        setup_cost=np.where(u[:, 2] < 0.2, 15.0, 16 + np.floor(15 * u[:, 3])),
        setup_loss=1.0 + (u[:, 4] >= 0.7) + (u[:, 4] >= 0.85),
        holding_cost=np.full((num, n_items), 0.01),
        lost_sales_cost=lost_sales_cost,
        max_inventory=np.full((num, n_items), 100.0),
        demand_probability=np.tile(law, (num, n_items, 1)),
        initial_inventory=np.where(v[:, 1] < 0.05, 0.0, 1 + np.floor(50 * v[:, 2])),
        initial_setup=np.where(w[:, 0] < 0.4, 0, 1 + np.floor(n_items * w[:, 1])).astype(np.int64),
    )


def load(name: str) -> tuple[LotSizingInstance, int]:
    """Load a shipped instance by name, or a file in the reference JSON schema by path.

    Returns
    -------
    tuple
        A batch of one, and the horizon in periods.

    Raises
    ------
    ValueError
        If the name is unknown or the file is damaged; the message names file and field.
    """
    text, source = read_text(name, NAMES)
    return parse(text, source)


def read_text(name: str, names: Sequence[str]) -> tuple[str, str]:
    """Text of a shipped instance in ``names``, or of a file by path, and what errors call it.

    Raises
    ------
    ValueError
        If there is neither.
    """
    if name in names:
        data = resources.files("or_envs.lot_sizing").joinpath(f"data/{name}.json")
        return data.read_text(), f"or_envs/lot_sizing/data/{name}.json"
    path = Path(name)
    if not path.is_file():
        raise ValueError(
            f"instance: expected one of {', '.join(names)}, 'random' or the path of a JSON file,"
            f" got {name!r}"
        )
    return path.read_text(encoding="utf-8"), str(path)


def parse(text: str, source: str) -> tuple[LotSizingInstance, int]:
    """Read the JSON schema of leokan92/pdppo; ``source`` names the file in errors.

    Demand is described at :func:`or_envs.lot_sizing.demand.read_demand`.
    """
    reader = Reader.from_text(text, source)
    m, n = reader.integer("n_machines", 1), reader.integer("n_items", 1)
    return read_instance(
        reader,
        setup_cost=reader.array("setup_costs", (m, n)),
        setup_loss=reader.array("setup_loss", (m, n)),
    )


def read_instance(
    reader: Reader, setup_cost: np.ndarray, setup_loss: np.ndarray
) -> tuple[LotSizingInstance, int]:
    """Read everything but the setups, (M, n) each."""
    n = reader.integer("n_items", 1)
    m = reader.integer("n_machines", 1)
    horizon = reader.integer("time_horizon", 1)
    initial_setup = reader.array("initial_setup", (m,), high=n, whole=True)
    initial_inventory = reader.array("initial_inventory", (n,))
    max_inventory = reader.array("max_inventory_level", (n,), low=1, whole=True)
    if (initial_inventory > max_inventory).any():
        raise ValueError(
            f"{reader.source}: initial_inventory: a value is above max_inventory_level"
        )
    return (
        LotSizingInstance(
            production=reader.array("machine_production", (m, n))[None],
            setup_cost=setup_cost[None],
            setup_loss=setup_loss[None],
            holding_cost=reader.array("holding_costs", (n,))[None],
            lost_sales_cost=reader.array("lost_sales_costs", (n,))[None],
            max_inventory=max_inventory[None],
            demand_probability=read_demand(reader, n)[None],
            initial_inventory=initial_inventory[None],
            initial_setup=initial_setup[None].astype(np.int64),
        ),
        horizon,
    )


def to_json(instance: LotSizingInstance, horizon: int, demand: dict[str, Any]) -> str:
    """Write a batch of one in the reference schema; ``demand`` is its demand_distribution."""

    def numbers(values: np.ndarray) -> Any:
        whole = (values == np.floor(values)).all()
        return (values.astype(int) if whole else values).tolist()

    n_machines, n_items = instance.production.shape[1:]
    fields = {
        "time_horizon": horizon,
        "n_items": n_items,
        "n_machines": n_machines,
        "initial_setup": numbers(instance.initial_setup[0]),
        "machine_production": numbers(instance.production[0]),
        "max_inventory_level": numbers(instance.max_inventory[0]),
        "initial_inventory": numbers(instance.initial_inventory[0]),
        "holding_costs": numbers(instance.holding_cost[0]),
        "lost_sales_costs": numbers(instance.lost_sales_cost[0]),
        "demand_distribution": demand,
        "setup_costs": numbers(instance.setup_cost[0]),
        "setup_loss": numbers(instance.setup_loss[0]),
    }
    lines = [f'  "{key}": {json.dumps(value)}' for key, value in fields.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"
