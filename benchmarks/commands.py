"""What the commands of ``or-bench`` do; each takes the parsed arguments."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks import contestants, hyperparameters, problems, zoo
from benchmarks.config import load_suite, read_yaml, shipped
from benchmarks.errors import UserError
from benchmarks.files import write_atomically


def list_everything(options: argparse.Namespace) -> None:
    """Print environments with their options, agents, baselines, trained models and suites."""
    print("environments (option: default)")
    for env_id in problems.env_ids():
        print(f"  {env_id}")
        for name, default in problems.options(env_id).items():
            print(f"    {name}: {default!r}")
        instances = problems.instance_names(env_id)
        if instances:
            print(f"    instances: {', '.join(instances)}")
    for title, names in (
        ("agents", hyperparameters.agents()),
        ("baselines", contestants.baselines()),
        ("trained models", zoo.names()),
        ("suites", list(shipped())),
    ):
        print(title)
        for name in names:
            print(f"  {name}")


def _set_device(name: str, here: bool = True) -> None:
    """Say where agents are trained; ``here``: by this machine, which then must have the device."""
    import torch

    from benchmarks.training import DEVICE

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device: expected cpu or cuda, got {name!r}") from error
    if here and device.type == "cuda":
        if not torch.cuda.is_available():
            raise UserError("device: torch finds no CUDA device")
        if (device.index or 0) >= torch.cuda.device_count():
            raise UserError(f"device: torch finds {torch.cuda.device_count()} GPUs, no {name}")
    os.environ[DEVICE] = name


def train(options: argparse.Namespace) -> None:
    """Train a new agent in a folder of its own, or go on with a killed training.

    Where torchrun has started several processes they train one agent, and the first one speaks.
    """
    from agents.common import distributed
    from benchmarks.tracking import tracked
    from benchmarks.training import train as train_agent

    device = distributed.own_device(options.device)
    _set_device(device)
    if options.resume is None and (options.algo is None or options.env is None):
        raise UserError("train: give --algo and --env, or --resume DIR")
    if options.track is not None:
        importlib.import_module(options.track)  # missing: say so before there is a folder
    with distributed.process_group(device):
        leads = distributed.is_leader()
        folder, config = _training_folder(options, leads)
        values = hyperparameters.load(config["algo"], config["env"], config["hyperparams"])
        if leads:
            print(f"training in {folder}", flush=True)
        params = {name: config[name] for name in ("algo", "env", "env_kwargs", "seed")}
        follows = tracked(folder, options.track, {**params, **config["hyperparams"]})
        with follows if leads else contextlib.nullcontext() as logger:
            trained = train_agent(
                config["algo"],
                config["env"],
                config["env_kwargs"],
                config["seed"],
                values,
                folder,
                progress=leads and sys.stderr.isatty(),
                logger=logger,
            )
        if leads:
            print(f"trained for {trained.model.num_timesteps} steps in {trained.seconds:.1f} s")


def _training_folder(options: argparse.Namespace, leads: bool) -> tuple[Path, dict[str, Any]]:
    """Folder of a training and its configuration; the leader makes a new one."""
    from agents.common.distributed import from_leader

    if options.resume is not None:
        given = (options.algo, options.env, options.env_kwargs, options.hyperparams)
        if any(given) or options.timesteps is not None:
            raise UserError("resume: everything else is in the folder's config.yml; leave it out")
        folder = options.resume
        if not (folder / "config.yml").is_file():
            raise UserError(f"resume: {folder} has no config.yml, so it is no folder of train")
        return folder, read_yaml(folder / "config.yml")
    config = _new_config(options)
    folder = Path()
    if leads:
        folder = _new_folder(options.output / options.algo, options.env.rpartition("/")[2])
        _write_config(folder, config)
    return Path(from_leader(str(folder))), config


def _new_config(options: argparse.Namespace) -> dict[str, Any]:
    env_kwargs = dict(options.env_kwargs)
    problems.build_problem(options.env, env_kwargs)
    overrides = dict(options.hyperparams)
    if options.timesteps is not None:
        overrides["n_timesteps"] = options.timesteps
    return {
        "algo": options.algo,
        "env": options.env,
        "env_kwargs": env_kwargs,
        "seed": options.seed,
        # All of them: a later change of the defaults must not change a training that goes on.
        "hyperparams": hyperparameters.load(options.algo, options.env, overrides).flat(),
    }


def _new_folder(parent: Path, stem: str) -> Path:
    """``parent/stem_n`` with the first n that is free, as rl-zoo3 counts."""
    number = 1
    while True:
        folder = parent / f"{stem}_{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def _write_config(folder: Path, config: dict[str, Any]) -> None:
    import yaml

    from benchmarks.provenance import versions

    text = yaml.safe_dump({**config, "versions": versions()}, sort_keys=False)
    write_atomically(folder / "config.yml", text)


def _complete_environment(options: argparse.Namespace) -> None:
    """Without --env, a trained model is played in the environment that it was trained in."""
    if options.env is not None:
        return
    model = zoo.find(options.contestant)
    if model is None or not (model.parent / zoo.CONFIG).is_file():
        raise UserError("env: give --env, or a trained model with a config.yml beside it")
    values = read_yaml(model.parent / zoo.CONFIG)
    options.env = values["env"]
    options.env_kwargs = list({**values["env_kwargs"], **dict(options.env_kwargs)}.items())


def tune(options: argparse.Namespace) -> None:
    """Search for good hyper-parameters, or go on with a search."""
    from benchmarks.tune import Tuning
    from benchmarks.tune import tune as search

    if options.output.suffix != ".yml":
        raise UserError(f"output: expected a name ending in .yml, got {str(options.output)!r}")
    _set_device(options.device)
    fixed = dict(options.hyperparams)
    values = hyperparameters.load(options.algo, options.env, fixed)
    tuning = Tuning(
        options.algo,
        options.env,
        dict(options.env_kwargs),
        fixed,
        options.timesteps or values.n_timesteps,
        options.seeds,
    )
    search(
        tuning,
        options.trials,
        options.sampler,
        options.pruner,
        options.storage or str(options.output.with_suffix(".log")),
        options.workers,
        options.output,
    )


def evaluate(options: argparse.Namespace) -> int:
    """Print mean cost, 95 % interval and decision time of a contestant.

    With ``--check`` also whether the stored figure came out again; the exit code is 1 if not.
    """
    import gymnasium as gym

    import or_envs
    from benchmarks.evaluation import evaluate as play
    from benchmarks.players import load_player
    from benchmarks.statistics import estimate

    stored = _stored_evaluation(options) if options.check else None
    _complete_environment(options)
    if options.episodes is None:
        options.episodes = 100
    problem = problems.build_problem(options.env, dict(options.env_kwargs))
    player = load_player(options.contestant, options.algo, problem, seed=0)
    data = or_envs.sample(problem, options.seed, options.episodes)
    try:
        result = play(problem, player, *data, options.sees_future, options.time_limit)
    except (gym.error.InvalidAction, ValueError) as error:
        raise UserError(f"contestant: {options.contestant}: {error}") from error
    figures: dict[str, Any] = {}
    for what, values in (("cost", result.costs), ("lower bound", result.bounds)):
        if values is None:
            continue
        summary = estimate(values[None])
        figures[what] = [summary.value, summary.low, summary.high]
        line = f"{what} {summary.value:.6g}"
        if summary.low is not None:
            line += f", 95 % interval {summary.low:.6g} to {summary.high:.6g}"
        print(f"{line}, {options.episodes} episodes")
    if result.costs is None and result.bounds is None:
        print("neither plans nor bounds for all episodes")
    print(
        f"decision {result.decision_ms:.3f} ms" + (f"  ({result.detail})" if result.detail else "")
    )
    if options.output is not None:
        _write_evaluation(options, figures, result.decision_ms)
    return 0 if stored is None else _compare(stored, figures["cost"][0], options.episodes)


def _stored_evaluation(options: argparse.Namespace) -> zoo.StoredEvaluation:
    """The evaluation beside a model; its episodes are the ones to play."""
    if options.env is not None or options.env_kwargs or options.seed != 0:
        raise UserError("check: environment and seeds are those of the stored evaluation")
    stored = zoo.read(options.contestant).evaluation
    if options.episodes is None:
        options.episodes = stored.episodes
    if options.episodes > stored.episodes:
        raise UserError(
            f"episodes: the stored evaluation has {stored.episodes}, got {options.episodes}"
        )
    options.env, options.env_kwargs = stored.env, list(stored.env_kwargs.items())
    options.seed = stored.first_seed
    return stored


def _compare(stored: zoo.StoredEvaluation, cost: float, episodes: int) -> int:
    """Say whether the stored figure came out again; 0 if so, otherwise 1."""
    mean, tolerance = stored.cost[0], stored.tolerance(episodes)
    same = abs(cost - mean) <= tolerance
    print(
        f"{'reproduced' if same else 'NOT reproduced'}: stored {mean:.6g} over"
        f" {stored.episodes} episodes; allowed {mean - tolerance:.6g} to {mean + tolerance:.6g}"
    )
    return 0 if same else 1


def _write_evaluation(
    options: argparse.Namespace, figures: dict[str, Any], decision_ms: float
) -> None:
    import yaml

    from benchmarks.provenance import versions

    evaluation = {
        "env": options.env,
        "env_kwargs": dict(options.env_kwargs),
        "first_seed": options.seed,
        "episodes": options.episodes,
        # Mean and the ends of its 95 % interval.
        **{
            name: [round(value, 4) for value in values if value is not None]
            for name, values in figures.items()
        },
        "decision_ms": round(decision_ms, 4),
        "versions": versions(),
    }
    write_atomically(options.output, yaml.safe_dump(evaluation, sort_keys=False))


def collect(options: argparse.Namespace) -> None:
    """Record episodes of a baseline in a file that agents can learn from."""
    from benchmarks.collect import FIRST_SEED, DataConfig
    from benchmarks.collect import collect as record

    if options.output.suffix != ".npz":
        raise UserError(f"output: expected a name ending in .npz, got {str(options.output)!r}")
    try:
        config = DataConfig(
            options.contestant,
            dict(options.settings),
            options.episodes,
            options.jitter,
            options.random,
            FIRST_SEED if options.seed is None else options.seed,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    written = record(options.env, dict(options.env_kwargs), config, options.output, options.workers)
    totals = f"{written['total_episodes']} episodes, {written['total_steps']} steps"
    print(f"written: {options.output}, {totals}")


def leaderboard(options: argparse.Namespace) -> None:
    """Run what is missing of a suite, print its tables and write its files."""
    from rich.console import Console

    from benchmarks.backgrounds import gather
    from benchmarks.claim import build_claim
    from benchmarks.claim_report import write_claim
    from benchmarks.leaderboard import build_tables
    from benchmarks.report import write_reports
    from benchmarks.runner import run_suite

    suite = load_suite(options.suite)
    if options.engine == "processes" and options.ray_address is not None:
        raise UserError("ray-address: give --engine ray with it")
    _set_device(options.device, here=options.engine == "processes")
    console = Console()
    if not console.is_terminal:  # a file has no width to respect
        console = Console(width=160)
    records = run_suite(
        suite, options.results, options.workers, console, options.engine, options.ray_address
    )
    folder, tables = options.results / suite.name, build_tables(records)
    backgrounds = gather(suite, tables, folder, options.pictures, console)
    write_reports(tables, backgrounds, folder, console)
    if suite.claim is not None:
        write_claim(build_claim(records, suite.claim), folder, console)


def enjoy(options: argparse.Namespace) -> None:
    """Play one episode and write a film or a picture."""
    from benchmarks.players import load_player
    from benchmarks.rendering import FORMATS, make_env, render_episode

    if options.output is None:
        options.output = Path(f"{Path(options.contestant).name}.gif")
    if options.output.suffix not in FORMATS:
        raise UserError(
            f"output: expected a name ending in {' or '.join(FORMATS)}, got {str(options.output)!r}"
        )
    _complete_environment(options)
    env_kwargs = dict(options.env_kwargs)
    problem = problems.build_problem(options.env, env_kwargs)
    player = load_player(options.contestant, options.algo, problem, seed=0)
    cost = render_episode(
        make_env(options.env, env_kwargs), player, options.seed, options.sees_future, options.output
    )
    print(f"cost {cost / problem.cost_divisor:.6g}, written: {options.output}")


def export(options: argparse.Namespace) -> None:
    """Write a model in the layout of a Hugging Face repository."""
    from benchmarks.hub import export_model

    export_model(zoo.read(options.model), options.output)
    print(f"written: {options.output}")


def import_(options: argparse.Namespace) -> None:
    """Check a folder in the layout of a Hugging Face repository and make a model's folder of it."""
    from benchmarks.hub import import_model

    output = options.output or Path("runs") / "imported" / options.folder.resolve().name
    import_model(options.folder, output)
    print(f"written: {output}; or-bench evaluate {output} --check plays its episodes again")
