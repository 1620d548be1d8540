"""The one table of environment ids."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from or_envs.core.env import load_problem
from or_envs.core.problem import AnyProblem

#: id -> class of the problem. Options of an id are the arguments of its class.
TABLE: dict[str, str] = {
    "or_envs/LotSizing-v0": "or_envs.lot_sizing.problem:LotSizing",
    "or_envs/SeasonalLotSizing-v0": "or_envs.lot_sizing.seasonal:SeasonalLotSizing",
    "or_envs/SequenceDependentLotSizing-v0": (
        "or_envs.lot_sizing.sequence_dependent:SequenceDependentLotSizing"
    ),
    "or_envs/KnownDemandLotSizing-v0": "or_envs.lot_sizing.known_demand:KnownDemandLotSizing",
    "or_envs/UncapacitatedLotSizing-v0": (
        "or_envs.uncapacitated_lot_sizing.problem:UncapacitatedLotSizing"
    ),
    "or_envs/CapacitatedLotSizing-v0": (
        "or_envs.capacitated_lot_sizing.problem:CapacitatedLotSizing"
    ),
    "or_envs/PostDecisionLake-v0": "or_envs.post_decision_lake.problem:PostDecisionLake",
    "or_envs/MountainCar-v0": "or_envs.mountain_car.problem:MountainCar",
    "or_envs/SingleStoreBacklog-v0": "or_envs.inventory.single_store:SingleStoreBacklog",
    "or_envs/SingleStoreLostSales-v0": "or_envs.inventory.single_store:SingleStoreLostSales",
    "or_envs/DualSourcing-v0": "or_envs.inventory.dual_sourcing:DualSourcing",
    "or_envs/TwoSuppliers-v0": "or_envs.inventory.two_suppliers:TwoSuppliers",
    "or_envs/TabularLotSizing-v0": "or_envs.inventory.tabular_lot_sizing:TabularLotSizing",
    "or_envs/SerialInventory-v0": "or_envs.inventory.serial:SerialInventory",
    "or_envs/Transshipment-v0": "or_envs.inventory.warehouses:Transshipment",
    "or_envs/OneWarehouse-v0": "or_envs.inventory.warehouses:OneWarehouse",
    "or_envs/ManyWarehouses-v0": "or_envs.inventory.warehouses:ManyWarehouses",
    "or_envs/RetailNetwork-v0": "or_envs.inventory.retail:RetailNetwork",
    "or_envs/SerialSupplyChain-v0": "or_envs.inventory.supply_chain:SerialSupplyChain",
    "or_envs/SupplyNetwork-v0": "or_envs.inventory.supply_chain:SupplyNetwork",
    "or_envs/BeerGame-v0": "or_envs.inventory.beer_game:BeerGame",
    "or_envs/Newsvendor-v0": "or_envs.inventory.newsvendor:Newsvendor",
    "or_envs/TSP-v0": "or_envs.routing.tsp:TSP",
    "or_envs/ATSP-v0": "or_envs.routing.atsp:ATSP",
    "or_envs/CVRP-v0": "or_envs.routing.cvrp:CVRP",
    "or_envs/Orienteering-v0": "or_envs.routing.orienteering:Orienteering",
    "or_envs/UAMFleet-v0": "or_envs.uam_fleet.problem:UAMFleet",
    "or_envs/Knapsack-v0": "or_envs.knapsack.problem:Knapsack",
    "or_envs/JobShop-v0": "or_envs.job_shop.problem:JobShop",
    "or_envs/ISBJSSP-v0": "or_envs.job_shop.problem:ISBJSSP",
}


def register(id: str, problem: str, **kwargs: Any) -> None:
    """Register a problem class "module:Class" with gymnasium, single and vectorised.

    Parameters
    ----------
    id
        Namespaced id, such as "me/MyProblem-v0".
    problem
        Where the class is.
    **kwargs
        Default arguments of the class (numbers and strings).
    """
    gym.register(
        id,
        entry_point="or_envs.core.env:Env",
        vector_entry_point="or_envs.core.vector_env:VectorEnv",
        kwargs={"problem": problem, **kwargs},
    )


def make_problem(id: str, **kwargs: Any) -> AnyProblem:
    """Build the problem behind an id, for ``simulate`` and for solvers.

    Raises
    ------
    gymnasium.error.Error
        If the id is not registered.
    """
    spec = gym.spec(id)
    return load_problem(**{**spec.kwargs, **kwargs})


def register_all() -> None:
    """Register every id of the table (importing ``or_envs`` does it)."""
    for id, problem in TABLE.items():
        register(id, problem)
