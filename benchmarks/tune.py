"""Tunes an agent on an environment by random search: ``python -m benchmarks.tune``.

The space is ``hyperparameters/spaces/ALGO.yml``: per hyper-parameter ``{choice: [...]}`` or
``{log_uniform: [low, high]}``. Every configuration is trained with the same seeds, none of which
suites use; the one with the lowest mean cost, on episodes that suites do not use either, is written
as a section of a hyper-parameter file. The first configuration is that file's own. An interrupted
run goes on.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cli import key_value
from benchmarks.config import ContestantConfig, ProblemConfig, SuiteConfig, read_yaml
from benchmarks.errors import UserError
from benchmarks.files import slug, write_atomically
from benchmarks.hyperparameters import agents, space_path
from benchmarks.provenance import cores
from benchmarks.tune_pdppo import EPISODES, FIRST_EPISODE_SEED, FIRST_SEED, best


def load_space(algorithm: str, env_id: str) -> dict[str, Mapping[str, Any]]:
    """What may be drawn for an environment: ``default``, then the id's own.

    Raises
    ------
    UserError
        If the agent has no space, or the space is damaged.
    """
    path = space_path(algorithm)
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.yml")))
        raise UserError(f"algo: expected an agent with a tuning space, {known}, got {algorithm!r}")
    sections = read_yaml(path)
    space: dict[str, Mapping[str, Any]] = {**sections["default"], **sections.get(env_id, {})}
    for name, law in space.items():
        kinds = list(law) if isinstance(law, Mapping) else []
        if kinds not in (["choice"], ["log_uniform"]):
            raise UserError(f"{path}: {name}: expected choice or log_uniform, got {law!r}")
        low_high = law.get("log_uniform", [1, 1])
        if len(low_high) != 2 or not 0 < low_high[0] <= low_high[1] < math.inf:
            raise UserError(f"{path}: {name}: expected 0 < low <= high, got {low_high!r}")
    return space


def configurations(space: Mapping[str, Mapping[str, Any]], num: int) -> list[dict[str, Any]]:
    """The first ``num`` configurations of a fixed sequence that begins with none."""
    return [{}, *(_draw(space, number) for number in range(1, num))]


def _draw(space: Mapping[str, Mapping[str, Any]], number: int) -> dict[str, Any]:
    rng = np.random.default_rng((FIRST_SEED, number))
    drawn: dict[str, Any] = {}
    for name, law in space.items():
        if "choice" in law:
            drawn[name] = law["choice"][rng.integers(len(law["choice"]))]
        else:
            low, high = np.log(law["log_uniform"])
            drawn[name] = float(f"{math.exp(rng.uniform(low, high)):.4g}")
    return drawn


def tuning_suite(
    algorithm: str,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    fixed: Mapping[str, Any],
    tried: Sequence[Mapping[str, Any]],
    seeds: int,
    timesteps: int | None = None,
) -> SuiteConfig:
    """Every configuration, with ``fixed`` settings beside it, as a contestant of a suite."""
    contestants = tuple(
        ContestantConfig(
            algorithm,
            label=f"{env_id} #{number}",
            settings={**fixed, **values},
            seeds=tuple(range(FIRST_SEED, FIRST_SEED + seeds)),
            timesteps=timesteps,
        )
        for number, values in enumerate(tried)
    )
    problem = ProblemConfig(env_id, contestants, dict(env_kwargs), EPISODES)
    return SuiteConfig((problem,), f"tune-{algorithm}-{slug(env_id)}", FIRST_EPISODE_SEED)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the trainings that are missing and write the section."""
    import yaml
    from rich.console import Console

    from benchmarks.runner import run_suite

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algo", required=True, choices=agents(), metavar="AGENT")
    parser.add_argument("--env", required=True, metavar="ID")
    parser.add_argument("--env-kwargs", nargs="+", type=key_value, default=[], metavar="K:V")
    parser.add_argument(
        "--hyperparams", nargs="+", type=key_value, default=[], metavar="K:V", help="not tuned"
    )
    parser.add_argument("--timesteps", type=int, help="default: the hyper-parameter file's")
    parser.add_argument("--configurations", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2, help="per configuration")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--workers", type=int, default=cores(), help="processes")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.yml")
    options = parser.parse_args(arguments)
    try:
        tried = configurations(load_space(options.algo, options.env), options.configurations)
        suite = tuning_suite(
            options.algo,
            options.env,
            dict(options.env_kwargs),
            dict(options.hyperparams),
            tried,
            options.seeds,
            options.timesteps,
        )
        console = Console()
        records = run_suite(suite, options.results, options.workers, console)
    except UserError as error:
        parser.error(str(error))
    found = best(records, tried)
    head = (
        f"# The best of {options.configurations} configurations, mean over {options.seeds} seeds."
        f" For hyperparameters/{options.algo}.yml.\n"
    )
    write_atomically(options.output, head + yaml.safe_dump(found, sort_keys=False))
    console.print(f"written: {options.output}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
