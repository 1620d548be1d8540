"""Daily profits of an agent and of rules on common days: ``python -m benchmarks.uam_fleet_table``.

All contestants of a setting meet the same days, those with seeds ``--seed``, ...; slow ones play
the first few. The profit of every day of a rule goes to the file ``--days``, and what is there
already is not played again. "more" is the mean of the paired differences to bid prices on the days
that both played, with a 95 % bootstrap interval over days. Times are those of one processor, all
days side by side, preparation (linear programs, tuning) included.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import or_envs
from baselines.registration import make
from benchmarks.files import write_atomically
from benchmarks.statistics import stratified_bootstrap
from benchmarks.training import MODEL
from or_envs.core.simulation import Rule

ENV = "or_envs/UAMFleet-v0"
COLUMNS = (
    *("setting", "contestant", "days", "profit", "sd", "percentile_5"),
    *("more_than_bid_price", "low", "high", "seconds_a_day", "ms_a_decision"),
)


@dataclasses.dataclass(frozen=True)
class Days:
    """What a contestant earned on the days with seeds ``seed``, ...

    Attributes
    ----------
    profit
        (D,).
    seconds, decisions
        Processor time and decisions of all days together.
    """

    profit: np.ndarray
    seconds: float
    decisions: int


#: Before the first day.
NOTHING = Days(np.zeros(0), 0.0, 0)
#: Days that are played side by side, and kept when a run is interrupted.
BLOCK = 20

#: What differs from the preset "default".
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "K = 20": {"num_aircraft": 20},
    "K = 60": {"num_aircraft": 60},
    "N = 5": {"num_vertiports": 5},
    "N = 12": {"num_vertiports": 12},
    "load 0.5": {"load": 0.5},
    "load 3": {"load": 3.0},
    "closures x 3": {"max_closure": 0.15},
}
REFERENCE = "uam_fleet/bid_price"
#: Rules of every setting, and for the first setting only one that is tuned and one that searches.
RULES = (REFERENCE, "uam_fleet/random", "uam_fleet/greedy_rate")
TUNED = "uam_fleet/tuned_linear"
GENETIC = "uam_fleet/genetic"
AGENT = "gnn_ppo"


def play(problem: Any, rule: Rule, seed: int, num: int) -> Days:
    """Play days with a rule."""
    instance, tape = or_envs.sample(problem, seed, num)
    start = time.process_time()
    played = or_envs.simulate(problem, rule, instance, tape)
    seconds = time.process_time() - start
    return Days(np.asarray(played.total_reward), seconds, int(played.num_steps.sum()))


def more_days(setting: str, name: str, seed: int, num: int, days: Days) -> Iterator[Days]:
    """Make a rule and play, :data:`BLOCK` days at a time, those that are missing of ``num``."""
    problem = or_envs.make_problem(ENV, **SETTINGS[setting])
    start = time.process_time()
    rule = make(name, problem, 0)
    days = dataclasses.replace(days, seconds=days.seconds + time.process_time() - start)
    while (done := len(days.profit)) < num:
        block = play(problem, rule, seed + done, min(BLOCK, num - done))
        days = Days(
            np.concatenate([days.profit, block.profit]),
            days.seconds + block.seconds,
            days.decisions + block.decisions,
        )
        yield days


def line(setting: str, name: str, days: Days, reference: Days) -> list[Any]:
    """Line of the table."""
    profit, num = days.profit, len(days.profit)
    ends = ["", "", ""]
    common = min(num, len(reference.profit))
    if name != REFERENCE and common > 1:
        difference = profit[:common] - reference.profit[:common]
        more = stratified_bootstrap(lambda arm: arm[0].mean(axis=-1), [difference])
        ends = [f"{x:.0f}" for x in (more.value, more.low, more.high) if x is not None]
    return [
        *(setting, name, num),
        *(f"{x:.0f}" for x in (profit.mean(), profit.std(ddof=1), np.quantile(profit, 0.05))),
        *ends,
        f"{days.seconds / num:.3g}",
        f"{1000 * days.seconds / days.decisions:.3g}",
    ]


def read(path: Path) -> dict[tuple[str, str], Days]:
    """Days that are known, by setting and contestant."""
    if not path.is_file():
        return {}
    entries: dict[str, Any] = json.loads(path.read_text())
    return {
        (setting, name): Days(np.array(days["profit"]), days["seconds"], days["decisions"])
        for setting, rows in entries.items()
        for name, days in rows.items()
    }


def write(path: Path, known: dict[tuple[str, str], Days]) -> None:
    """Keep days."""
    entries: dict[str, Any] = {}
    for (setting, name), days in known.items():
        profit = [round(x, 2) for x in days.profit.tolist()]
        entries.setdefault(setting, {})[name] = {**dataclasses.asdict(days), "profit": profit}
    write_atomically(path, json.dumps(entries) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table as CSV."""
    import torch

    from agents.gnn_ppo.gnn_ppo import GNNPPO

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a trained agent")
    parser.add_argument("--num", type=int, default=100, help="days")
    parser.add_argument("--num-reference", type=int, default=20, help="days of bid prices in the"
                        " settings after the first")  # fmt: skip
    parser.add_argument("--num-genetic", type=int, default=3, help="days of the genetic algorithm")
    parser.add_argument("--seed", type=int, default=10_000, help="seed of the first day")
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--days", type=Path, default=Path("results/uam-fleet-days.json"))
    args = parser.parse_args(arguments)
    for name in ("num", "num_reference", "num_genetic"):
        if getattr(args, name) < 2:
            parser.error(f"{name}: expected an integer >= 2, got {getattr(args, name)}")
    torch.set_num_threads(1)
    policy = GNNPPO.load(args.run / MODEL, device="cpu")
    known = read(args.days)
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    for place, setting in enumerate(args.settings):
        fewer = {GENETIC: args.num_genetic} if place == 0 else {REFERENCE: args.num_reference}
        for name in (*RULES, TUNED, GENETIC) if place == 0 else RULES:
            num = min(args.num, fewer.get(name, args.num))
            before = known.setdefault((setting, name), NOTHING)
            if len(before.profit) < num:
                for days in more_days(setting, name, args.seed, num, before):
                    known[setting, name] = days
                    write(args.days, known)
            writer.writerow(line(setting, name, known[setting, name], known[setting, REFERENCE]))
        problem = or_envs.make_problem(ENV, **SETTINGS[setting])
        days = play(problem, or_envs.policy_rule(problem, policy), args.seed, args.num)
        writer.writerow(line(setting, AGENT, days, known[setting, REFERENCE]))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
