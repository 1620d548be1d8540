"""``python -m benchmarks.rl_zoo3 train ...``: a command of rl-zoo3 that knows our agents."""

from __future__ import annotations

import runpy
import sys

import benchmarks.rl_zoo3  # noqa: F401

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        raise SystemExit("usage: python -m benchmarks.rl_zoo3 {train,enjoy,...} ...")
    command = sys.argv.pop(1)
    runpy.run_module(f"rl_zoo3.{command}", run_name="__main__", alter_sys=True)
