from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from baselines.common.solution import Solution
from baselines.common.training import FIRST_TRAINING_SEED, training_episodes
from baselines.registration import TABLE, make
from or_envs.capacitated_lot_sizing.problem import CapacitatedLotSizing
from or_envs.core import sample, simulate
from or_envs.inventory.dual_sourcing import DualSourcing
from or_envs.inventory.single_store import SingleStoreBacklog, SingleStoreLostSales
from or_envs.inventory.tabular_lot_sizing import TabularLotSizing
from or_envs.inventory.two_suppliers import TwoSuppliers
from or_envs.inventory.warehouses import OneWarehouse, Transshipment
from or_envs.job_shop.problem import JobShop
from or_envs.knapsack.problem import Knapsack
from or_envs.lot_sizing.problem import LotSizing
from or_envs.mountain_car.problem import MountainCar
from or_envs.post_decision_lake.problem import PostDecisionLake
from or_envs.routing.atsp import ATSP
from or_envs.routing.cvrp import CVRP
from or_envs.routing.orienteering import Orienteering
from or_envs.routing.tsp import TSP
from or_envs.uam_fleet.problem import UAMFleet
from or_envs.uncapacitated_lot_sizing.problem import UncapacitatedLotSizing

QUICK = {
    "lot_sizing/greedy": {"num_episodes": 3},
    "lot_sizing/genetic": {"population": 4, "generations": 2, "num_episodes": 3},
    "lot_sizing/s_S": {"population": 4, "generations": 2, "num_episodes": 3},
    "lot_sizing/rolling_horizon": {"horizon": 2},
    "lot_sizing/index_policy": {"iterations": 5, "num_episodes": 5},
    "lot_sizing/rollout": {"iterations": 5},
    "routing/genetic": {"population": 10, "generations": 3},
    "knapsack/genetic": {"population": 10, "generations": 3},
    "uam_fleet/tuned_linear": {"num_episodes": 3, "population": 5, "generations": 2},
    "uam_fleet/tuned_bid_price": {"num_episodes": 2},
    "uam_fleet/genetic": {"population": 10, "generations": 3},
    "uam_fleet/genetic_hindsight": {"population": 10, "generations": 3},
}
PROBLEMS = {
    "lot_sizing": lambda: LotSizing("VI-A", horizon=4),
    "uncapacitated_lot_sizing": lambda: UncapacitatedLotSizing(horizon=4),
    "capacitated_lot_sizing": lambda: CapacitatedLotSizing(n_items=2, horizon=4),
    "post_decision_lake": lambda: PostDecisionLake(size=4),
    "mountain_car": lambda: MountainCar(horizon=10),
    "routing": lambda: TSP(6),
    "routing/prize_ratio": lambda: Orienteering(8),
    "routing/pyvrp": lambda: CVRP(8),
    "routing/orienteering_dp": lambda: Orienteering(8),
    "routing/orienteering_search": lambda: Orienteering(8),
    "routing/savings": lambda: CVRP(8),
    "routing/sweep": lambda: CVRP(8),
    "routing/hybrid_genetic": lambda: CVRP(8),
    "routing/rounded_capacity": lambda: CVRP(8),
    "routing/asymmetric_search": lambda: ATSP(6),
    "routing/assignment_bound": lambda: ATSP(6),
    "uam_fleet": lambda: UAMFleet("tiny"),
    "knapsack": lambda: Knapsack(8, family="strongly_correlated"),
    "job_shop": lambda: JobShop(num_jobs=3, num_machines=3, blocking="swap"),
    "inventory": lambda: SingleStoreLostSales("poisson-L1-p4", horizon=6),
    "inventory/lower_bound": lambda: Transshipment("n3-L4-p9", horizon=6),
    "inventory/s_S": lambda: SingleStoreBacklog("poisson-L1-p9-K64", horizon=6),
    "inventory/s_Q": lambda: SingleStoreBacklog("poisson-L1-p9-K64", horizon=6),
    "inventory/one_supplier": lambda: TwoSuppliers(horizon=6),
    "inventory/tabular_policy": lambda: TabularLotSizing("poisson"),
    "inventory/tabular_value": lambda: TabularLotSizing("poisson"),
    "inventory/dual_index": lambda: DualSourcing("L2-c105", horizon=6),
    "inventory/capped_dual_index": lambda: DualSourcing("L2-c105", horizon=6),
    "inventory/tailored_base_surge": lambda: DualSourcing("L2-c105", horizon=6),
    "inventory/echelon_base_stock": lambda: OneWarehouse("n3", horizon=6),
}


@pytest.mark.parametrize("name", TABLE)
def test_every_baseline_plays_or_solves(name: str) -> None:
    if name == "routing/lkh":
        pytest.importorskip("elkai")
    problem = (PROBLEMS.get(name) or PROBLEMS[name.partition("/")[0]])()
    instance, exogenous = sample(problem, 0, 1)
    contestant = make(name, problem, 0, **QUICK.get(name, {}))
    if hasattr(contestant, "solve"):
        solution = contestant.solve(instance, exogenous, time_limit=5.0)
        assert isinstance(solution, Solution)
        assert np.isfinite(solution.objective) or solution.actions is None
    else:
        rollout = simulate(problem, contestant, instance, exogenous)
        assert np.isfinite(rollout.total_reward).all()


@pytest.mark.parametrize("name", ["lot_sizing/greedy", "lot_sizing/genetic"])
def test_tuned_rules_tell_their_settings(name: str) -> None:
    rule = make(name, LotSizing("VI-A", horizon=4), 1, **QUICK[name])
    assert set(rule.settings) == {"cover", "setup_weight", "stay_bonus"}
    assert all(isinstance(value, float) for value in rule.settings.values())


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ValueError, match="lot_sizing/idle") as error:
        make("lot_sizing/nothing", LotSizing("VI-A"))
    assert "routing/fast_tsp" in str(error.value)
    assert "'lot_sizing/nothing'" in str(error.value)


def test_the_table_loads_nothing_heavy() -> None:
    code = (
        "import sys, baselines.registration as r, or_envs.lot_sizing.problem as p;"
        "r.make('lot_sizing/idle', p.LotSizing('VI-A'));"
        "print([m for m in ('pyomo', 'highspy', 'pymoo', 'fast_tsp', 'torch', 'agents')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_random_rules_are_seeded_and_legal() -> None:
    problem = LotSizing("15x5", horizon=20)
    instance, demand = sample(problem, 0, 50)

    def actions(seed: int) -> np.ndarray:
        return simulate(problem, make("lot_sizing/random", problem, seed), instance, demand).actions

    assert np.array_equal(actions(1), actions(1))  # simulate would raise on a masked action
    assert not np.array_equal(actions(1), actions(2))
    allowed = 1 + (instance.production[0] > 0).sum(axis=1)
    idle = (actions(1) == 0).mean(axis=(0, 1))
    assert idle == pytest.approx(1 / allowed, abs=0.05)


def test_training_episodes_are_apart_from_evaluation_and_from_each_other() -> None:
    problem = LotSizing("VI-A", horizon=5)
    first, _ = training_episodes(problem, 0, 3)
    same, _ = sample(problem, FIRST_TRAINING_SEED, 3)
    assert np.array_equal(first.initial_inventory, same.initial_inventory)
    _, demand = training_episodes(problem, 0, 50)
    _, other = training_episodes(problem, 1, 50)
    rows = {row.tobytes() for row in np.concatenate([demand.demand, other.demand])}
    assert len(rows) > 90
    with pytest.raises(ValueError, match="num"):
        training_episodes(problem, 0, 2_000_000)
