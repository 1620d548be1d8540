"""Every registered id with the arguments that the tests play it with."""

import pytest

CASES = [
    *(
        ("or_envs/LotSizing-v0", {"instance": name})
        for name in ("15x5", "20x10", "25x10", "25x15", "VI-A", "VI-B", "VI-C", "random")
    ),
    ("or_envs/LotSizing-v0", {"instance": "random", "n_items": 3, "n_machines": 2}),
    ("or_envs/LotSizing-v0", {"instance": "random", "n_items": 2, "finite_horizon": True}),
    ("or_envs/LotSizing-v0", {"instance": "15x5", "allow_invalid": True}),
    ("or_envs/LotSizing-v0", {"instance": "15x5", "observation_mode": "inventory_only"}),
    ("or_envs/LotSizing-v0", {"instance": "VI-A", "finite_horizon": True, "horizon": 7}),
    ("or_envs/TSP-v0", {}),
    ("or_envs/TSP-v0", {"num_cities": 2}),
    ("or_envs/TSP-v0", {"num_cities": 9}),
    ("or_envs/TSP-v0", {"num_cities": 8, "mode": "direct"}),
    ("or_envs/TSP-v0", {"num_cities": 20, "instance": "kool"}),
    ("or_envs/TSP-v0", {"num_cities": 12, "instance": "clustered"}),
    *(
        (f"or_envs/{id}-v0", {size: number, "mode": mode})
        for id, size, number in (
            ("ATSP", "num_cities", 7),
            ("CVRP", "num_customers", 9),
            ("Orienteering", "num_customers", 12),
            ("Knapsack", "num_items", 20),
        )
        for mode in ("bq", "direct")
    ),
    ("or_envs/CVRP-v0", {"num_customers": 20, "instance": "kool"}),
    ("or_envs/CVRP-v0", {"num_customers": 1, "capacity": 9}),
    ("or_envs/Orienteering-v0", {"num_customers": 9, "prizes": "uniform", "instance": "clustered"}),
    ("or_envs/Orienteering-v0", {"num_customers": 1, "prizes": "constant", "budget": 0.5}),
    *(
        ("or_envs/Knapsack-v0", {"num_items": 12, "family": family})
        for family in ("integers", "strongly_correlated", "subset_sum")
    ),
    ("or_envs/Knapsack-v0", {"num_items": 1}),
    *(
        ("or_envs/JobShop-v0", kwargs)
        for kwargs in (
            {"num_jobs": 5, "num_machines": 3},
            {"num_jobs": (1, 4), "num_machines": (1, 3), "blocking": "swap"},
            {"num_jobs": 4, "num_machines": 3, "blocking": "no_swap", "reward": "lb_delta"},
            {"instance": "FT06", "observation": "graph", "reward": "sparse"},
            {"num_jobs": 4, "num_machines": 3, "allow_wait": False, "skip_trivial": True},
            {"num_jobs": 1, "num_machines": 1},
        )
    ),
    ("or_envs/ISBJSSP-v0", {"num_jobs": 5, "num_machines": 4}),
    *(
        ("or_envs/ISBJSSP-v0", {"num_jobs": 4, "num_machines": 3, "p_down": 0.3, **kwargs})
        for kwargs in (
            {"shutdown": "hazard", "reward": "waiting"},
            {"shutdown": "preempt_resume", "observation": "graph"},
            {"p_down": (0.0, 0.2), "max_downtime": 9, "allow_wait": False},
        )
    ),
    *(
        ("or_envs/LotSizing-v0", kwargs)
        for kwargs in (
            {"instance": "10x5", "start": "given"},
            {"instance": "negbin-15x5"},
            {"instance": "random", "family": "graded"},
            {"instance": "random", "family": "tight", "n_items": 5, "n_machines": 2},
        )
    ),
    *(
        ("or_envs/UAMFleet-v0", {"preset": "tiny", **kwargs})
        for kwargs in (
            {},
            {"max_closure": 0.5, "max_failure": 0.5, "delay_deviation": 4.0, "lanes": 1},
            {"reward": "terminal_normalised", "features": "paper", "num_vertistops": 1},
            {"patience": None, "reserve": 30.0, "flight_energy": 5.0, "fare": "logarithmic"},
            {"preset": "ref2022", "features": "ref2022", "day": 180, "num_vertiports": 4},
        )
    ),
    ("or_envs/SeasonalLotSizing-v0", {}),
    ("or_envs/SeasonalLotSizing-v0", {"instance": "VI-A", "season": 4, "finite_horizon": True}),
    ("or_envs/SeasonalLotSizing-v0", {"instance": "random", "n_items": 3, "family": "negbin"}),
    ("or_envs/SequenceDependentLotSizing-v0", {}),
    ("or_envs/SequenceDependentLotSizing-v0", {"instance": "random", "n_items": 4}),
    ("or_envs/KnownDemandLotSizing-v0", {}),
    ("or_envs/KnownDemandLotSizing-v0", {"instance": "VI-A", "horizon": 5, "start": "given"}),
    ("or_envs/KnownDemandLotSizing-v0", {"instance": "random", "n_items": 3}),
    ("or_envs/UncapacitatedLotSizing-v0", {}),
    ("or_envs/UncapacitatedLotSizing-v0", {"instance": "wagner-whitin"}),
    ("or_envs/UncapacitatedLotSizing-v0", {"instance": "tiny"}),
    ("or_envs/UncapacitatedLotSizing-v0", {"horizon": 1}),
    ("or_envs/CapacitatedLotSizing-v0", {}),
    ("or_envs/CapacitatedLotSizing-v0", {"n_items": 1, "horizon": 3}),
    ("or_envs/PostDecisionLake-v0", {}),
    ("or_envs/PostDecisionLake-v0", {"size": 2, "horizon": 5}),
    ("or_envs/PostDecisionLake-v0", {"size": 4, "map_seed": 7}),
    ("or_envs/MountainCar-v0", {"horizon": 20}),
    ("or_envs/TabularLotSizing-v0", {}),
    ("or_envs/TabularLotSizing-v0", {"instance": "poisson"}),
    *(
        (f"or_envs/{id}-v0", {"horizon": 12, **kwargs})
        for id, kwargs in (
            ("SingleStoreLostSales", {}),
            ("SingleStoreLostSales", {"instance": "geometric-L1-p4-n3", "warm_up": 4}),
            ("SingleStoreLostSales", {"action_mode": "levels"}),
            ("SingleStoreBacklog", {"instance": "poisson-L2-p9-K64"}),
            ("SingleStoreBacklog", {"action_mode": "residual", "normalized": True}),
            ("DualSourcing", {}),
            ("TwoSuppliers", {}),
            ("TwoSuppliers", {"instance": "L2-p9-K8", "normalized": False}),
            ("SerialInventory", {}),
            ("SerialInventory", {"instance": "L4-p9-S7", "action_mode": "levels"}),
            ("SerialInventory", {"instance": "snyder-shen-6.1", "action_mode": "shares"}),
            ("Transshipment", {"instance": "n3-L4-p9"}),
            ("OneWarehouse", {"instance": "n5", "observe_data": True}),
            ("OneWarehouse", {"instance": "n3", "action_mode": "shares", "normalized": True}),
            ("ManyWarehouses", {}),
            ("ManyWarehouses", {"instance": "6x50"}),
            ("RetailNetwork", {}),
            ("RetailNetwork", {"instance": "3x21", "split": "test"}),
            ("SerialSupplyChain", {}),
            ("SerialSupplyChain", {"instance": "lost"}),
            ("SupplyNetwork", {}),
            ("SupplyNetwork", {"instance": "lost", "action_mode": "levels"}),
            ("BeerGame", {}),
            ("BeerGame", {"instance": "U08", "player": 2}),
            ("BeerGame", {"instance": "N10", "action_mode": "orders"}),
            ("Newsvendor", {}),
        )
    ),
]


def name(case: tuple[str, dict]) -> str:
    return "-".join([case[0].split("/")[1], *(f"{k}={v}" for k, v in case[1].items())])


every_case = pytest.mark.parametrize(("id", "kwargs"), CASES, ids=map(name, CASES))
FEW = [CASES[0], CASES[7], CASES[12], CASES[15], ("or_envs/DualSourcing-v0", {"horizon": 9})]
few_cases = pytest.mark.parametrize(("id", "kwargs"), FEW, ids=map(name, FEW))
