"""Tunes the arms of the suite ``pdppo-claim``, all with the same budget.

``python -m benchmarks.tune_pdppo`` trains every arm with the same randomly drawn configurations, on
the same seeds, none of which the suite uses, for as many steps as the suite gives it. The
configuration with the lowest mean cost over the seeds, on episodes that the suite does not use,
becomes the arm's section in ``hyperparameters/presets/pdppo-tuned.yml``. The arms with published
settings are not tuned. 15x5 is tuned on itself, the three VI instances on VI-B.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.config import ContestantConfig, SuiteConfig, load_suite
from benchmarks.files import write_atomically
from benchmarks.hyperparameters import preset_path
from benchmarks.provenance import cores
from benchmarks.records import Record

PRESET = "pdppo-tuned"
#: Group of sections -> instance that it is tuned on.
INSTANCES = {"15x5": "15x5", "VI": "VI-B"}
EPISODES = 100
FIRST_EPISODE_SEED = 2_000_000
FIRST_SEED = 1000


def configurations(num: int) -> list[dict[str, Any]]:
    """The configurations that every arm tries; the first is the hyper-parameter file's.

    An arm ignores the settings that it does not have.
    """
    rng = np.random.default_rng(0)
    drawn: list[dict[str, Any]] = [{}]
    for _ in range(num - 1):
        decay = float(rng.choice([0.9, 0.95, 1.0]))
        drawn.append(
            {
                "learning_rate": round(float(10 ** rng.uniform(-4, -2.7)), 6),
                "ent_coef": float(rng.choice([0.0, 0.001, 0.003, 0.01])),
                "clip_range": float(rng.choice([0.1, 0.2, 0.3])),
                "n_epochs": int(rng.choice([4, 8, 12])),
                "gamma": float(rng.choice([0.9, 0.95, 0.99])),
                "gae_lambda": decay,
                "lambda_outcome": decay,
                "lambda_decision": float(rng.choice([0.5, 0.9, 1.0])),
                "ratio": str(rng.choice(["joint", "per_component"])),
            }
        )
    return drawn


def tuning_suite(suite: SuiteConfig, tried: Sequence[dict[str, Any]], seeds: int) -> SuiteConfig:
    """Every tuned arm of a suite with every configuration."""
    chosen = []
    for group, instance in INSTANCES.items():
        (problem,) = (p for p in suite.problems if p.env_kwargs == {"instance": instance})
        contestants = tuple(
            ContestantConfig(
                arm.name,
                label=_label(arm.preset, number),
                settings={**arm.settings, **values},
                seeds=tuple(range(FIRST_SEED, FIRST_SEED + seeds)),
                timesteps=arm.timesteps,
            )
            for arm in problem.contestants
            # Arms that borrow another arm's section are not tuned.
            if arm.preset == f"{PRESET}/{group} {arm.label}"
            for number, values in enumerate(tried)
        )
        chosen.append(dataclasses.replace(problem, contestants=contestants, episodes=EPISODES))
    return SuiteConfig(
        tuple(chosen), f"{suite.name}-tuning", FIRST_EPISODE_SEED, suite.cell_time_limit
    )


def best(records: Sequence[Record], tried: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Section -> the configuration with the lowest mean cost; a failed one costs infinitely much.

    Raises
    ------
    ValueError
        If no configuration of an arm has succeeded.
    """
    costs: dict[str, np.ndarray] = {}
    for record in records:
        section, _, number = record.contestant.rpartition(" #")
        cost = np.inf if record.costs is None else float(np.mean(record.costs))
        costs.setdefault(section, np.zeros(len(tried)))[int(number)] += cost
    for section, sums in costs.items():
        if not np.isfinite(sums).any():
            raise ValueError(f"{section}: no configuration has succeeded")
    return {section: tried[int(sums.argmin())] for section, sums in costs.items()}


def _label(preset: str, number: int) -> str:
    return f"{preset.removeprefix(f'{PRESET}/')} #{number}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the trainings that are missing and write the presets."""
    import yaml
    from rich.console import Console

    from benchmarks.runner import run_suite

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="pdppo-claim", metavar="NAME|FILE")
    parser.add_argument("--configurations", type=int, default=6, help="per arm")
    parser.add_argument("--seeds", type=int, default=2, help="per configuration")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--workers", type=int, default=cores(), help="processes")
    parser.add_argument("--output", type=Path, default=preset_path(PRESET), metavar="FILE")
    options = parser.parse_args(arguments)
    tried = configurations(options.configurations)
    suite = tuning_suite(load_suite(options.suite), tried, options.seeds)
    console = Console()
    records = run_suite(suite, options.results, options.workers, console)
    head = (
        f"# Written by python -m benchmarks.tune_pdppo: the best of {options.configurations}"
        f" configurations per arm,\n# mean over {options.seeds} seeds. An empty section is that of"
        " the hyper-parameter file.\n"
    )
    text = yaml.safe_dump(best(records, tried), sort_keys=False)
    write_atomically(options.output, head + text)
    console.print(f"written: {options.output}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
