"""Results of a suite of many problems, made up: nothing is trained or played."""

import dataclasses

import numpy as np

from benchmarks.config import ContestantConfig, ProblemConfig, SuiteConfig
from benchmarks.curve_file import write_curve
from benchmarks.records import Record

#: Environment, instance, cost of a good policy.
PROBLEMS = (
    ("LotSizing-v0", "15x5", 2290.0),
    ("LotSizing-v0", "VI-A", 64.2),
    ("LotSizing-v0", "VI-B", 394.3),
    ("SingleStoreLostSales-v0", "poisson-L4-p9", 4.73),
    ("SingleStoreLostSales-v0", "geometric-L4-p19", 9.41),
    ("OneWarehouse-v0", "n10", 52.7),
    ("TSP-v0", "num_cities=20", 3.84),
    ("TSP-v0", "num_cities=50", 5.69),
    ("CVRP-v0", "num_customers=20", 6.16),
    ("Knapsack-v0", "num_items=100, correlation=strong", -32305.8),
    ("JobShop-v0", "10x5", 812.0),
    ("UAMFleet-v0", "default", -43417.0),
)
#: Label: excess cost in percent, milliseconds per decision.
AGENTS = {"ppo_mask": (9.0, 0.4), "pdppo pd_td": (6.5, 0.5), "adp": (1.4, 2.2)}
RULES = {
    "index_policy": (0.2, 0.02),
    "roll_out": (0.21, 0.9),
    "greedy": (4.0, 0.01),
    "genetic": (2.0, 0.011),
    "static": (30.0, 0.004),
    "random": (240.0, 0.003),
}
SEEDS = 4
EPISODES = 60
FAILURE = "RuntimeError: the loss is not a number after 12,800 steps <script>alert(1)</script>"


def example(folder, problems=PROBLEMS):
    """Suite and records; curves of the trainings go to ``folder``."""
    rng = np.random.default_rng(0)
    made = [_problem(rng, folder, *problem) for problem in problems]
    suite = SuiteConfig(tuple(config for config, _ in made), "example")
    return suite, [record for _, records in made for record in records]


def _problem(rng, folder, env, instance, cost):
    luck = rng.normal(0, 0.06, EPISODES)
    contestants, records = [], []

    def add(name, label, excess, seeds=1, episodes=EPISODES, settings=None, **fields):
        contestants.append(ContestantConfig(name, label, settings or {}, seeds=tuple(range(seeds))))
        for seed in range(seeds):
            level = excess / 100 * rng.lognormal(0, 0.4 if seeds > 1 else 0)
            costs = cost + abs(cost) * (level + luck + rng.normal(0, 0.01, EPISODES))
            values = {
                "kind": "policy",
                "learned": seeds > 1,
                "sees_future": False,
                "costs": [float(value) for value in costs[:episodes]],
                "bounds": None,
                "train_seconds": 0.2,
                "detail": "",
                **fields,
            }
            record = Record(
                hash=f"{instance}{len(records)}"[-12:],
                suite="example",
                env_id=f"or_envs/{env}",
                instance=instance,
                contestant=label,
                seed=seed,
                first_episode_seed=1_000_000,
                reference=False,
                status="ok",
                reason="",
                versions={"python": "3.11.9", "or-envs": "0.1.0", "torch": "2.13.0"},
                hardware="Example CPU @ 2.00GHz, 2 cores",
                time="2026-01-02T03:04:05+00:00",
                **values,
            )
            records.append(record)

    for label, (excess, decision) in AGENTS.items():
        name = label.partition(" ")[0]
        seconds = float(rng.uniform(60, 900))
        add(name, label, excess, SEEDS, decision_ms=decision, train_seconds=seconds)
        for record in records[-SEEDS:]:
            stem = f"{env}--{name}--{record.seed}--{record.hash}"
            _write_curve(rng, folder / "training" / stem / "curve.csv", cost)
    for label, (excess, decision) in RULES.items():
        add(f"lot_sizing/{label}", label, excess, decision_ms=decision)
    slow = {"kind": "solver", "decision_ms": 180.0, "settings": {"time_limit": 0.2}}
    add("x/rolling_horizon", "rolling_horizon", 0.4, episodes=3, detail="time limit 2", **slow)
    add(
        "x/perfect_information",
        "perfect_information",
        -3.0,
        episodes=5,
        sees_future=True,
        detail="optimal 5",
        **slow,
    )
    add("x/lagrangian", "lagrangian", -1.2, kind="solver", decision_ms=0.1)
    records[-1] = dataclasses.replace(records[-1], bounds=records[-1].costs, costs=None)
    if (env, instance) == PROBLEMS[0][:2]:
        add("rlpd", "rlpd", 0, costs=None, learned=True, train_seconds=None, decision_ms=None)
        records[-1] = dataclasses.replace(records[-1], status="failed", reason=FAILURE)
    config = ProblemConfig(f"or_envs/{env}", tuple(contestants), label=instance, episodes=EPISODES)
    return config, records


def _write_curve(rng, path, cost):
    steps = np.arange(1, 400)
    costs = cost + abs(cost) * (2 * np.exp(-steps / 60) + rng.normal(0.05, 0.05, steps.size))
    write_curve(
        path, [(640 * int(k), 6, float(y), float(k)) for k, y in zip(steps, costs, strict=True)]
    )
