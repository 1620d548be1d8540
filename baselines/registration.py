"""The one table of baselines."""

from __future__ import annotations

import importlib
from typing import Any

from or_envs.core import AnyProblem

#: Name -> "module:factory". A factory ``(problem, seed, **settings)`` returns a rule
#: ``(instance, state) -> actions`` or a solver with ``solve``; what it tunes, it tunes before it
#: returns.
TABLE = {
    "lot_sizing/idle": "baselines.lot_sizing.factories:idle",
    "lot_sizing/random": "baselines.common.random_rule:RandomRule",
    "lot_sizing/keep_setup": "baselines.lot_sizing.factories:keep_setup",
    "lot_sizing/static": "baselines.lot_sizing.factories:static",
    "lot_sizing/greedy": "baselines.lot_sizing.tuning:tune",
    "lot_sizing/genetic": "baselines.lot_sizing.genetic:evolve",
    "lot_sizing/s_S": "baselines.lot_sizing.s_s:evolve",
    "lot_sizing/rolling_horizon": "baselines.lot_sizing.rolling_horizon:RollingHorizon",
    "lot_sizing/index_policy": "baselines.lot_sizing.index_policy:IndexPolicy",
    "lot_sizing/rollout": "baselines.lot_sizing.rollout:Rollout",
    "lot_sizing/lagrangian": "baselines.lot_sizing.lagrangian:LagrangianBound",
    "lot_sizing/dynamic_programming": "baselines.lot_sizing.dynamic_programming:optimal_policy",
    "lot_sizing/optimal_value": "baselines.lot_sizing.dynamic_programming:OptimalValue",
    "lot_sizing/perfect_information": "baselines.lot_sizing.milp:PerfectInformation",
    "uncapacitated_lot_sizing/random": "baselines.common.random_rule:RandomRule",
    "uncapacitated_lot_sizing/lot_for_lot": (
        "baselines.uncapacitated_lot_sizing.factories:lot_for_lot"
    ),
    "uncapacitated_lot_sizing/silver_meal": (
        "baselines.uncapacitated_lot_sizing.factories:silver_meal"
    ),
    "uncapacitated_lot_sizing/part_period_balancing": (
        "baselines.uncapacitated_lot_sizing.factories:part_period_balancing"
    ),
    "uncapacitated_lot_sizing/wagner_whitin": (
        "baselines.uncapacitated_lot_sizing.wagner_whitin:WagnerWhitin"
    ),
    "uncapacitated_lot_sizing/milp": "baselines.uncapacitated_lot_sizing.formulations:Milp",
    "uncapacitated_lot_sizing/cutting_planes": (
        "baselines.uncapacitated_lot_sizing.cutting_planes:CuttingPlanes"
    ),
    "capacitated_lot_sizing/random": "baselines.common.random_rule:RandomRule",
    "capacitated_lot_sizing/lot_for_lot": "baselines.capacitated_lot_sizing.factories:lot_for_lot",
    "capacitated_lot_sizing/period_order_quantity": (
        "baselines.capacitated_lot_sizing.factories:period_order_quantity"
    ),
    "capacitated_lot_sizing/silver_meal": "baselines.capacitated_lot_sizing.factories:silver_meal",
    "capacitated_lot_sizing/relax_and_fix": (
        "baselines.capacitated_lot_sizing.relax_and_fix:RelaxAndFix"
    ),
    "capacitated_lot_sizing/milp": "baselines.capacitated_lot_sizing.formulations:Milp",
    "post_decision_lake/random": "baselines.common.random_rule:RandomRule",
    "post_decision_lake/shortest_path": "baselines.post_decision_lake.rules:ShortestPath",
    "post_decision_lake/dynamic_programming": (
        "baselines.post_decision_lake.dynamic_programming:optimal_policy"
    ),
    "post_decision_lake/optimal_value": (
        "baselines.post_decision_lake.dynamic_programming:OptimalValue"
    ),
    "mountain_car/random": "baselines.common.random_rule:RandomRule",
    "mountain_car/swing": "baselines.mountain_car.rules:Swing",
    "inventory/random": "baselines.common.random_rule:RandomRule",
    "inventory/optimal_policy": "baselines.inventory.exact_policies:optimal_policy",
    "inventory/optimal_value": "baselines.inventory.exact_policies:OptimalValue",
    "inventory/lower_bound": "baselines.inventory.exact_policies:LowerBound",
    "inventory/base_stock": "baselines.inventory.base_stock:base_stock",
    "inventory/capped_base_stock": "baselines.inventory.base_stock:capped_base_stock",
    "inventory/constant_order": "baselines.inventory.base_stock:constant_order",
    "inventory/projected_inventory": (
        "baselines.inventory.projected_inventory:projected_inventory"
    ),
    "inventory/myopic": "baselines.inventory.projected_inventory:myopic",
    "inventory/s_S": "baselines.inventory.reorder_point:s_s",
    "inventory/s_Q": "baselines.inventory.reorder_point:s_q",
    "inventory/one_supplier": "baselines.inventory.one_supplier:OneSupplier",
    "inventory/tabular_policy": "baselines.inventory.tabular_lot_sizing:BackwardInduction",
    "inventory/tabular_value": "baselines.inventory.tabular_lot_sizing:TabularValue",
    "inventory/dual_index": "baselines.inventory.dual_index:dual_index",
    "inventory/capped_dual_index": "baselines.inventory.dual_index:capped_dual_index",
    "inventory/tailored_base_surge": "baselines.inventory.dual_index:tailored_base_surge",
    "inventory/echelon_base_stock": ("baselines.inventory.echelon_base_stock:echelon_base_stock"),
    "inventory/hindsight": "baselines.inventory.hindsight:Hindsight",
    "inventory/just_in_time": "baselines.inventory.just_in_time:JustInTime",
    "inventory/rolling_horizon": "baselines.inventory.rolling_horizon:RollingHorizon",
    "inventory/genetic": "baselines.inventory.genetic:evolve",
    "routing/random": "baselines.common.random_rule:RandomRule",
    "routing/nearest_neighbour": "baselines.routing.rules:nearest_neighbour",
    "routing/largest_share": "baselines.routing.rules:LargestShare",
    "routing/prize_ratio": "baselines.routing.rules:prize_ratio",
    "routing/insertion": "baselines.routing.insertion:Insertion",
    "routing/two_opt": "baselines.routing.insertion:two_opt",
    "routing/random_two_opt": "baselines.routing.insertion:random_two_opt",
    "routing/iterated_local_search": (
        "baselines.routing.iterated_local_search:IteratedLocalSearch"
    ),
    "routing/asymmetric_search": "baselines.routing.asymmetric_search:AsymmetricSearch",
    "routing/subtour_elimination": "baselines.routing.subtour:SubtourElimination",
    "routing/compact": "baselines.routing.compact:Compact",
    "routing/fast_tsp": "baselines.routing.fast_tsp:FastTSP",
    "routing/lkh": "baselines.routing.lkh:LKH",
    "routing/genetic": "baselines.routing.genetic:GeneticTSP",
    "routing/memetic": "baselines.routing.genetic:memetic",
    "routing/assignment_bound": "baselines.routing.assignment:AssignmentBound",
    "routing/one_tree_bound": "baselines.routing.one_tree:OneTreeBound",
    "routing/savings": "baselines.routing.savings:Savings",
    "routing/sweep": "baselines.routing.savings:Sweep",
    "routing/hybrid_genetic": "baselines.routing.hybrid_genetic:HybridGenetic",
    "routing/pyvrp": "baselines.routing.pyvrp_search:PyVRPSearch",
    "routing/rounded_capacity": "baselines.routing.rounded_capacity:RoundedCapacity",
    "routing/orienteering_dp": "baselines.routing.orienteering_dp:OrienteeringDP",
    "routing/orienteering_search": "baselines.routing.orienteering_search:OrienteeringSearch",
    "uam_fleet/random": "baselines.common.random_rule:RandomRule",
    "uam_fleet/greedy_profit": "baselines.uam_fleet.rules:greedy_profit",
    "uam_fleet/greedy_rate": "baselines.uam_fleet.rules:greedy_rate",
    "uam_fleet/wait_full": "baselines.uam_fleet.rules:wait_full",
    "uam_fleet/look_ahead": "baselines.uam_fleet.rules:look_ahead",
    "uam_fleet/tuned_linear": "baselines.uam_fleet.tuned_linear:tune",
    "uam_fleet/bid_price": "baselines.uam_fleet.bid_price:BidPrice",
    "uam_fleet/tuned_bid_price": "baselines.uam_fleet.tuned_linear:tune_prices",
    "uam_fleet/weighted_bid_price": "baselines.uam_fleet.tuned_linear:weighted_prices",
    "uam_fleet/rolling_horizon": "baselines.uam_fleet.rolling_horizon:RollingHorizon",
    "uam_fleet/genetic": "baselines.uam_fleet.genetic:GeneticPolicy",
    "uam_fleet/genetic_hindsight": "baselines.uam_fleet.genetic:GeneticHindsight",
    "uam_fleet/hindsight": "baselines.uam_fleet.hindsight:Hindsight",
    "uam_fleet/linear_bound": "baselines.uam_fleet.bounds:LinearBound",
    "uam_fleet/plain_bound": "baselines.uam_fleet.bounds:plain",
    "uam_fleet/battery_bound": "baselines.uam_fleet.battery_model:BatteryBound",
    "knapsack/random": "baselines.common.random_rule:RandomRule",
    "knapsack/density": "baselines.knapsack.density:Density",
    "knapsack/dynamic_programming": "baselines.knapsack.dynamic_programming:DynamicProgramming",
    "knapsack/linear_bound": "baselines.knapsack.bounds:LinearBound",
    "knapsack/milp": "baselines.knapsack.milp:Milp",
    "knapsack/genetic": "baselines.knapsack.genetic:GeneticKnapsack",
    "job_shop/random": "baselines.common.random_rule:RandomRule",
    "job_shop/spt": "baselines.job_shop.rules:spt",
    "job_shop/lpt": "baselines.job_shop.rules:lpt",
    "job_shop/mtwr": "baselines.job_shop.rules:mtwr",
    "job_shop/ltwr": "baselines.job_shop.rules:ltwr",
    "job_shop/fifo": "baselines.job_shop.rules:fifo",
    "job_shop/lifo": "baselines.job_shop.rules:lifo",
    "job_shop/mor": "baselines.job_shop.rules:mor",
    "job_shop/lor": "baselines.job_shop.rules:lor",
    "job_shop/sqno": "baselines.job_shop.rules:sqno",
    "job_shop/lqno": "baselines.job_shop.rules:lqno",
    "job_shop/stt": "baselines.job_shop.rules:stt",
    "job_shop/ltt": "baselines.job_shop.rules:ltt",
    "job_shop/fdd_mwkr": "baselines.job_shop.rules:fdd_mwkr",
    "job_shop/random_dispatching": "baselines.job_shop.rules:random_dispatching",
    "job_shop/random_search": "baselines.job_shop.random_search:RandomSearch",
    "job_shop/pilot": "baselines.job_shop.pilot:Pilot",
    "job_shop/pilot_search": "baselines.job_shop.pilot:PilotSearch",
    "job_shop/genetic": "baselines.job_shop.genetic:GeneticJobShop",
    "job_shop/disjunctive": "baselines.job_shop.disjunctive:Disjunctive",
    "job_shop/time_indexed": "baselines.job_shop.time_indexed:TimeIndexed",
    "job_shop/constraint_programming": (
        "baselines.job_shop.constraint_programming:ConstraintProgramming"
    ),
    "job_shop/perfect_information": (
        "baselines.job_shop.constraint_programming:ConstraintProgramming"
    ),
    "job_shop/rolling_resolve": "baselines.job_shop.rolling:RollingResolve",
}


def make(name: str, problem: AnyProblem, seed: int = 0, **settings: Any) -> Any:
    """Build a rule or solver, and tune it if it has parameters to tune.

    Parameters
    ----------
    name
        A key of :data:`TABLE`.
    problem
        The problem that it is for.
    seed
        Seed of whatever is random in it.
    settings
        Further arguments of the factory.

    Raises
    ------
    ValueError
        If the name is unknown.
    ImportError
        If the baseline needs an extra that is not installed.
    """
    if name not in TABLE:
        raise ValueError(f"name: expected one of {', '.join(TABLE)}, got {name!r}")
    module, factory = TABLE[name].split(":")
    return getattr(importlib.import_module(module), factory)(problem, seed, **settings)
