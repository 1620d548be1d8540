"""The command line ``or-bench``: list, train, tune, evaluate, enjoy, leaderboard and more."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import commands
from benchmarks.engines import ENGINES
from benchmarks.errors import UserError
from benchmarks.files import disk_full
from benchmarks.provenance import cores
from or_envs.extras import MissingExtraError

_OURS = ("agents", "baselines", "benchmarks", "or_envs")


class _Parser(argparse.ArgumentParser):
    """Bad arguments are one line, not one line and the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def key_value(text: str) -> tuple[str, Any]:
    """Read ``key:value`` as rl-zoo3 does; the value is YAML, never code."""
    import yaml

    key, colon, value = text.partition(":")
    if not colon or not key:
        raise argparse.ArgumentTypeError(f"expected key:value, got {text!r}")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"value of {key!r} is not YAML: {value!r}") from error


def _at_least(low: int) -> Any:
    def integer(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"expected an integer >= {low}, got {text!r}")
        return value

    return integer


def _add_environment(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument("--env", required=required, metavar="ID", help="environment id")
    parser.add_argument(
        "--env-kwargs",
        nargs="+",
        type=key_value,
        default=[],
        metavar="K:V",
        help="options of the environment, such as instance:15x5",
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="of torch, for training: cpu or cuda")


def _add_player(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "contestant",
        help="a baseline's name, a trained model's (see list), a folder that train made, a file",
    )
    parser.add_argument("--algo", help="agent of a model file without a config.yml beside it")
    _add_environment(parser, required=False)
    parser.add_argument(
        "--sees-future", action="store_true", help="give a solver the exogenous trace"
    )


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar of the command line."""
    parser = _Parser(prog="or-bench", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    sub = subparsers.add_parser("list", help="show environments, agents, models and more")
    sub.set_defaults(run=commands.list_everything)

    sub = subparsers.add_parser("train", help="train an agent")
    sub.add_argument("--algo", help="agent")
    _add_environment(sub, required=False)
    sub.add_argument("--seed", type=_at_least(0), default=0)
    sub.add_argument("--timesteps", type=_at_least(1), help="default: the hyper-parameter file's")
    sub.add_argument(
        "--hyperparams", nargs="+", type=key_value, default=[], metavar="K:V", help="overrides"
    )
    sub.add_argument("--output", type=Path, default=Path("runs"), metavar="DIR")
    _add_device(sub)
    sub.add_argument("--resume", type=Path, metavar="DIR", help="go on with a killed training")
    sub.add_argument("--track", choices=("mlflow", "wandb"), help="beside TensorBoard")
    sub.set_defaults(run=commands.train)

    sub = subparsers.add_parser("tune", help="search for good hyper-parameters of an agent")
    sub.add_argument("--algo", required=True, help="agent")
    _add_environment(sub)
    sub.add_argument(
        "--hyperparams", nargs="+", type=key_value, default=[], metavar="K:V", help="not tuned"
    )
    sub.add_argument(
        "--trials", type=_at_least(1), default=20, help="configurations; the first is the file's"
    )
    sub.add_argument("--timesteps", type=_at_least(1), help="default: the hyper-parameter file's")
    sub.add_argument("--seeds", type=_at_least(1), default=2, help="trainings per configuration")
    sub.add_argument("--sampler", choices=("tpe", "random"), default="tpe")
    sub.add_argument("--pruner", choices=("none", "median", "halving"), default="median")
    sub.add_argument(
        "--storage", metavar="FILE|URL", help="journal, or sqlite:///FILE (default: OUTPUT's .log)"
    )
    sub.add_argument("--workers", type=_at_least(1), default=cores(), help="processes")
    sub.add_argument("--output", type=Path, required=True, metavar="FILE.yml")
    _add_device(sub)
    sub.set_defaults(run=commands.tune)

    sub = subparsers.add_parser("evaluate", help="mean cost of a contestant")
    _add_player(sub)
    sub.add_argument(
        "--episodes", type=_at_least(1), help="default: 100; with --check all that were stored"
    )
    sub.add_argument("--time-limit", type=float, metavar="S", help="of a solver, per episode")
    sub.add_argument("--seed", type=_at_least(0), default=0, help="seed of the first episode")
    sub.add_argument("--output", type=Path, metavar="FILE.yml", help="write the figures")
    sub.add_argument(
        "--check",
        action="store_true",
        help="play the episodes of the model's evaluation.yml again; exit code 1 if it is not met",
    )
    sub.set_defaults(run=commands.evaluate)

    sub = subparsers.add_parser("collect", help="record episodes as offline data")
    sub.add_argument("contestant", help="a baseline's name, or module:factory")
    _add_environment(sub)
    sub.add_argument(
        "--settings", nargs="+", type=key_value, default=[], metavar="K:V", help="of the contestant"
    )
    sub.add_argument("--episodes", type=_at_least(1), default=100)
    sub.add_argument(
        "--jitter", type=float, default=0.0, metavar="J", help="multiply actions by 1 - J .. 1 + J"
    )
    sub.add_argument(
        "--random", type=float, default=0.0, metavar="P", help="probability of a random action"
    )
    sub.add_argument("--seed", type=_at_least(0), help="seed of the first episode")
    sub.add_argument("--workers", type=_at_least(1), default=1, help="processes")
    sub.add_argument("--output", type=Path, required=True, metavar="FILE.npz")
    sub.set_defaults(run=commands.collect)

    sub = subparsers.add_parser("leaderboard", help="run a suite and print its table")
    sub.add_argument("--suite", required=True, metavar="NAME|FILE")
    sub.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    sub.add_argument(
        "--workers", type=_at_least(1), help="cells side by side (default: cores, or the cluster's)"
    )
    sub.add_argument(
        "--engine", choices=ENGINES, default="processes", help="of this machine, or a Ray cluster"
    )
    sub.add_argument("--ray-address", metavar="HOST:PORT", help="default: RAY_ADDRESS, or here")
    _add_device(sub)
    sub.add_argument(
        "--pictures",
        type=_at_least(0),
        default=1,
        metavar="N",
        help="contestants per problem with a drawn episode on the page",
    )
    sub.set_defaults(run=commands.leaderboard)

    sub = subparsers.add_parser("enjoy", help="play an episode and draw it")
    _add_player(sub)
    sub.add_argument("--seed", type=_at_least(0), default=0, help="seed of the episode")
    sub.add_argument(
        "--output", type=Path, metavar="FILE.gif|.mp4|.png", help="default: CONTESTANT.gif"
    )
    sub.set_defaults(run=commands.enjoy)

    sub = subparsers.add_parser("export", help="write a model as a Hugging Face repository")
    sub.add_argument("model", help="name of a trained model, or a folder with an evaluation.yml")
    sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder")
    sub.set_defaults(run=commands.export)

    sub = subparsers.add_parser("import", help="check what export made and unpack it")
    sub.add_argument("folder", type=Path, help="a local copy of the repository")
    sub.add_argument(
        "--output", type=Path, metavar="DIR", help="a new folder; default: runs/imported/NAME"
    )
    sub.set_defaults(run=commands.import_)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code, 2 for bad input."""
    options = build_parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except UserError as error:
        print(f"or-bench: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        what_to_do = disk_full(error)
        if what_to_do is None:
            raise
        print(f"or-bench: error: {what_to_do}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("or-bench: interrupted; what is finished is kept", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise  # a fault of ours, not a missing extra
        if not isinstance(error, MissingExtraError):
            error = MissingExtraError(f"or-bench {options.command}", error.name)
        print(f"or-bench: error: {error}", file=sys.stderr)
        return 2
