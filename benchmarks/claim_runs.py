"""The single runs behind a suite's claim: ``python -m benchmarks.claim_runs SUITE``.

Per problem and learned arm, of the results that ``or-bench leaderboard`` has left: the share of
runs near the reference contestant, the mean cost over the whole training (the area under its curve
divided by its length) and the training time per environment step, with 95 % bootstrap intervals
over runs.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.cells import Cell, cells_of
from benchmarks.config import SuiteConfig, load_suite
from benchmarks.curve import TrainingCurve
from benchmarks.errors import UserError
from benchmarks.files import write_atomically
from benchmarks.runner import read_record
from benchmarks.statistics import Estimate, stratified_bootstrap


@dataclasses.dataclass(frozen=True)
class Row:
    """An arm on a problem.

    Attributes
    ----------
    runs
        Finished trainings.
    near
        Share of them whose final cost is within ``tolerance`` of the reference's.
    curve_cost
        Mean cost over the training.
    milliseconds
        Training time per environment step.
    """

    instance: str
    arm: str
    runs: int
    near: Estimate
    curve_cost: Estimate
    milliseconds: Estimate


def rows(suite: SuiteConfig, results: Path, tolerance: float) -> list[Row]:
    """Collect what is there.

    Raises
    ------
    UserError
        If the suite, or the reference contestant of a problem, has not been played yet.
    """
    folder = results / suite.name
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells_of(suite):
        if (folder / "cells" / f"{cell.stem}.json").exists():
            groups.setdefault((cell.instance, cell.contestant.label), []).append(cell)
    if not groups:
        raise UserError(f"{suite.name}: has to be run first: or-bench leaderboard --suite")
    best: dict[str, float] = {}
    for (instance, _), cells in groups.items():
        if cells[0].contestant.reference:
            best[instance] = float(np.mean(_costs(folder, cells[0])))
    found = []
    for (instance, arm), cells in groups.items():
        curves = [folder / "training" / cell.stem / "curve.csv" for cell in cells]
        if not all(path.is_file() for path in curves):
            continue  # not learned
        if instance not in best:
            raise UserError(f"{suite.name}: {instance}: its reference has not been played yet")
        costs = np.array([np.mean(_costs(folder, cell)) for cell in cells])
        whole, time = [], []
        for path in curves:
            curve = TrainingCurve(path)
            steps, values = np.array(curve.points).T
            whole.append(np.average(values, weights=np.diff(steps, prepend=0.0)))
            time.append(1000 * curve.seconds / steps[-1])
        near = costs <= best[instance] + tolerance * abs(best[instance])
        found.append(
            Row(
                instance,
                arm,
                len(cells),
                *(_mean(np.array(x, dtype=float)) for x in (near, whole, time)),
            )
        )
    return found


def _costs(folder: Path, cell: Cell) -> list[float]:
    record = read_record(folder, cell)
    if record.costs is None:
        raise UserError(f"{cell.title}: {record.reason}")
    return record.costs


def _mean(values: np.ndarray) -> Estimate:
    return stratified_bootstrap(lambda runs: runs[0].mean(axis=-1), [values])


def to_csv(found: Sequence[Row]) -> str:
    """Columns of the rows, estimates with the ends of their intervals."""
    text = io.StringIO()
    names = ["near", "curve_cost", "milliseconds"]
    columns = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["instance", "arm", "runs", *columns])
    for row in found:
        values = [v for name in names for v in dataclasses.astuple(getattr(row, name))]
        writer.writerow(
            [row.instance, row.arm, row.runs, *("" if v is None else v for v in values)]
        )
    return text.getvalue()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table and write it beside the suite's other results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", metavar="NAME|FILE")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--tolerance", type=float, default=0.01, help="what counts as near")
    options = parser.parse_args(arguments)
    suite = load_suite(options.suite)
    found = rows(suite, options.results, options.tolerance)
    print(f"runs within {options.tolerance:.0%} of the reference; cost over training; ms per step")
    for row in found:
        values = (row.near, row.curve_cost, row.milliseconds)
        cells = [
            f"{x.value:.3f}" + ("" if x.low is None else f" [{x.low:.3f}, {x.high:.3f}]")
            for x in values
        ]
        print(f"{row.instance}  {row.arm}  {row.runs} runs:  {';  '.join(cells)}")
    write_atomically(options.results / suite.name / "runs.csv", to_csv(found))


if __name__ == "__main__":
    main()
