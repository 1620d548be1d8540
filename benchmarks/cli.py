"""The command line ``or-bench``: list, train, evaluate, collect, leaderboard, render."""

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
        "contestant", help="a baseline's name, a model file, or a folder that train made"
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

    sub = subparsers.add_parser("list", help="show environments, agents, baselines and suites")
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
    sub.set_defaults(run=commands.train)

    sub = subparsers.add_parser("evaluate", help="mean cost of a contestant")
    _add_player(sub)
    sub.add_argument("--episodes", type=_at_least(1), default=100)
    sub.add_argument("--time-limit", type=float, metavar="S", help="of a solver, per episode")
    sub.add_argument("--seed", type=_at_least(0), default=0, help="seed of the first episode")
    sub.add_argument("--output", type=Path, metavar="FILE.yml", help="write the figures")
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
    sub.set_defaults(run=commands.leaderboard)

    sub = subparsers.add_parser("render", help="draw one episode")
    _add_player(sub)
    sub.add_argument("--seed", type=_at_least(0), default=0, help="seed of the episode")
    sub.add_argument("--output", type=Path, required=True, metavar="FILE.gif|FILE.png")
    sub.set_defaults(run=commands.render)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code, 2 for bad input."""
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
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
        if error.name is None or error.name.partition(".")[0] in ("agents", "baselines", "or_envs"):
            raise  # a fault of ours, not a missing extra
        extra = "cluster" if error.name == "ray" else "all"
        print(
            f"or-bench: error: this needs {error.name}: pip install 'or-envs[{extra}]'",
            file=sys.stderr,
        )
        return 2
    return 0
