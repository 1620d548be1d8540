"""Instances of the stochastic discrete lot-sizing problem: law, shipped data, file reader."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.core.random import Generators, uniform

#: Instances shipped with the package, by name.
NAMES = ("15x5", "20x10", "25x10", "25x15", "VI-A", "VI-B", "VI-C")


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


def generate(n_items: int, n_machines: int, rngs: Generators) -> LotSizingInstance:
    """Draw instances from the law of the instances published with PDPPO.

    The law is that of ``generate_setting.py`` in the repository leokan92/pdppo: p = 0 with
    probability 0.4, else U{1..40}; setup cost 15 with probability 0.2, else U{16..30}; setup loss
    1 with probability 0.7, else 2 or 3; lost-sales cost 0.1 or 1.1; holding cost 0.01; cap 100;
    demand Binomial(20, 0.4). A machine that can make nothing, or an item that no machine can
    make, is possible.
    """
    pairs = (n_machines, n_items)
    u = uniform(rngs, (5, *pairs))
    v = uniform(rngs, (3, n_items))
    w = uniform(rngs, (2, n_machines))
    num = len(rngs)
    return LotSizingInstance(
        production=np.where(u[:, 0] < 0.4, 0.0, 1 + np.floor(40 * u[:, 1])),
        setup_cost=np.where(u[:, 2] < 0.2, 15.0, 16 + np.floor(15 * u[:, 3])),
        setup_loss=1.0 + (u[:, 4] >= 0.7) + (u[:, 4] >= 0.85),
        holding_cost=np.full((num, n_items), 0.01),
        lost_sales_cost=np.where(v[:, 0] < 0.5, 0.1, 1.1),
        max_inventory=np.full((num, n_items), 100.0),
        demand_probability=np.broadcast_to(
            binomial_probability(20, 0.4), (num, n_items, 21)
        ).copy(),
        initial_inventory=np.where(v[:, 1] < 0.05, 0.0, 1 + np.floor(50 * v[:, 2])),
        initial_setup=np.where(w[:, 0] < 0.4, 0, 1 + np.floor(n_items * w[:, 1])).astype(np.int64),
    )


def binomial_probability(trials: int, probability: float) -> np.ndarray:
    """Probabilities of 0..trials successes."""
    law = np.array([1.0])
    for _ in range(trials):
        law = np.convolve(law, [1 - probability, probability])
    return law


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
    if name in NAMES:
        text = resources.files("or_envs.lot_sizing").joinpath(f"data/{name}.json").read_text()
        return parse(text, f"or_envs/lot_sizing/data/{name}.json")
    path = Path(name)
    if not path.is_file():
        raise ValueError(
            f"instance: expected one of {', '.join(NAMES)}, 'random' or the path of a JSON file,"
            f" got {name!r}"
        )
    return parse(path.read_text(encoding="utf-8"), str(path))


def parse(text: str, source: str) -> tuple[LotSizingInstance, int]:
    """Read the JSON schema of leokan92/pdppo; ``source`` names the file in errors.

    ``demand_distribution`` is ``{"name": "binomial", "n": trials, "p": probability}`` or
    ``{"name": "probability_mass", "vals": [units], "probs": [probabilities]}``, the same for all
    items.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{source}: not JSON, damaged at line {error.lineno} column {error.colno}: {error.msg}"
        ) from None
    if not isinstance(data, dict):
        raise ValueError(f"{source}: expected a JSON object, got {type(data).__name__}")
    reader = _Reader(data, source)
    n = reader.integer("n_items", 1)
    m = reader.integer("n_machines", 1)
    horizon = reader.integer("time_horizon", 1)
    initial_setup = reader.array("initial_setup", (m,), high=n, whole=True)
    initial_inventory = reader.array("initial_inventory", (n,))
    max_inventory = reader.array("max_inventory_level", (n,), low=1, whole=True)
    if (initial_inventory > max_inventory).any():
        raise ValueError(f"{source}: initial_inventory: a value is above max_inventory_level")
    law = reader.demand()
    return (
        LotSizingInstance(
            production=reader.array("machine_production", (m, n))[None],
            setup_cost=reader.array("setup_costs", (m, n))[None],
            setup_loss=reader.array("setup_loss", (m, n))[None],
            holding_cost=reader.array("holding_costs", (n,))[None],
            lost_sales_cost=reader.array("lost_sales_costs", (n,))[None],
            max_inventory=max_inventory[None],
            demand_probability=np.broadcast_to(law, (1, n, len(law))).copy(),
            initial_inventory=initial_inventory[None],
            initial_setup=initial_setup[None].astype(np.int64),
        ),
        horizon,
    )


class _Reader:
    """Checked access to the fields of one instance file."""

    def __init__(self, data: dict[str, Any], source: str) -> None:
        self.data = data
        self.source = source

    def field(self, name: str) -> Any:
        if name not in self.data:
            raise ValueError(f"{self.source}: field {name!r} is missing")
        return self.data[name]

    def integer(self, name: str, low: int) -> int:
        value = self.field(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise ValueError(f"{self.source}: {name}: expected an integer >= {low}, got {value!r}")
        return value

    def array(
        self,
        name: str,
        shape: tuple[int, ...],
        low: float = 0,
        high: float = np.inf,
        whole: bool = False,
    ) -> np.ndarray:
        field = self.field(name)
        try:
            values = np.array(field, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{self.source}: {name}: expected numbers of shape {shape}") from None
        if values.shape != shape:
            raise ValueError(f"{self.source}: {name}: expected shape {shape}, got {values.shape}")
        bad = ~((values >= low) & (values <= high) & np.isfinite(values))
        if whole:
            bad |= values != np.floor(values)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            kind = "whole numbers" if whole else "numbers"
            raise ValueError(
                f"{self.source}: {name}{list(place)}: expected {kind} in [{low}, {high}],"
                f" got {values[place]}"
            )
        return values

    def demand(self) -> np.ndarray:
        law = self.field("demand_distribution")
        where = f"{self.source}: demand_distribution"
        if not isinstance(law, dict):
            raise ValueError(f"{where}: expected an object, got {law!r}")
        reader = _Reader(law, where)
        name = law.get("name")
        if name == "binomial":
            trials = reader.integer("n", 1)
            p = float(reader.array("p", (), 0, 1))
            return binomial_probability(trials, p)
        if name == "probability_mass":
            size = len(np.atleast_1d(reader.field("vals")))
            values = reader.array("vals", (size,), whole=True).astype(np.int64)
            probabilities = reader.array("probs", (size,), 0, 1)
            if abs(probabilities.sum() - 1) > 1e-9:
                raise ValueError(f"{where}: probs: must sum to 1, sum is {probabilities.sum()}")
            mass = np.zeros(values.max() + 1)
            np.add.at(mass, values, probabilities)
            return mass
        raise ValueError(f"{where}: name: expected 'binomial' or 'probability_mass', got {name!r}")


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
