"""Steps that recipes of trained models share; what is there already is not made again."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cli
from benchmarks.processes import one_thread
from benchmarks.training import MODEL


def pairs(options: Mapping[str, Any]) -> list[str]:
    """``key:value`` as the command line takes it; JSON is YAML."""
    return [f"{key}:{json.dumps(value)}" for key, value in options.items()]


def train(
    algorithm: str,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    timesteps: int,
    hyperparams: Mapping[str, Any],
    output: Path,
    device: str,
    processes: int = 1,
) -> Path:
    """Train by ``or-bench train`` below ``output``, or go on there; returns the model's folder.

    Several ``processes`` train together, each with one thread: small networks gain little from
    more threads.

    Raises
    ------
    SystemExit
        If training failed.
    """
    trained = sorted(output.glob(f"*/*/{MODEL}"))
    unfinished = sorted(output.glob("*/*/config.yml"))
    if not trained:
        arguments = ["train", "--device", device]
        if unfinished:
            arguments += ["--resume", str(unfinished[-1].parent)]
        else:
            arguments += ["--algo", algorithm, "--env", env_id, "--timesteps", str(timesteps)]
            arguments += ["--env-kwargs", *pairs(env_kwargs), "--output", str(output)]
            arguments += ["--hyperparams", *pairs(hyperparams)]
        if _run(arguments, processes):
            raise SystemExit(f"{output}: training failed")
        trained = sorted(output.glob(f"*/*/{MODEL}"))
    return trained[-1].parent


def _run(arguments: Sequence[str], processes: int) -> int:
    """Exit status of ``or-bench``."""
    if processes == 1:
        return cli.main(arguments)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, "-m", *torchrun, "-m", "benchmarks", *arguments]
    with one_thread():
        return subprocess.run(command, check=False).returncode


def write_table(
    path: Path, main: Callable[[Sequence[str]], None], arguments: Sequence[str]
) -> None:
    """Keep what a command prints, unless the file is there; half a table is none."""
    if path.is_file():
        return
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        main(arguments)
    os.replace(part, path)
