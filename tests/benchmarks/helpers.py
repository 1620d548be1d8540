import subprocess
import sys
from pathlib import Path

import yaml
from rich.console import Console

from benchmarks.config import load_suite
from benchmarks.leaderboard import build_tables
from benchmarks.runner import run_suite

ROOT = Path(__file__).parents[2]
FAKES = "tests.benchmarks.fakes"


def fake(name, **fields):
    return {"name": f"{FAKES}:{name}", "label": name, **fields}


def write_suite(folder, *contestants, episodes=4, **fields):
    """A suite of one tiny problem in ``folder / tiny.yml``."""
    problem = {
        "env_id": "or_envs/LotSizing-v0",
        "env_kwargs": {"instance": "VI-A", "horizon": 5},
        "label": "VI-A",
        "episodes": episodes,
        "contestants": list(contestants),
    }
    path = folder / "tiny.yml"
    path.write_text(yaml.safe_dump({"problems": [problem], **fields}), encoding="utf-8")
    return path


def run(path, results, workers=2):
    """Run a suite; the records and the table of its only problem."""
    records = run_suite(load_suite(str(path)), results, workers, Console(quiet=True))
    (table,) = build_tables(records)
    return records, table


def bench(*arguments, **options):
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )
