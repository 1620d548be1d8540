"""Runs the cells of a suite side by side, and alone writes their records.

A cell that raises, breaks a rule, takes too long or dies leaves a record with the reason, and is
tried again by the next run. A finished cell is never run twice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cells import Cell, cells_of
from benchmarks.config import SuiteConfig
from benchmarks.engines import Engine, play
from benchmarks.errors import UserError
from benchmarks.files import alone_in
from benchmarks.records import ADVICE, Record, read
from benchmarks.supervision import log_path

if TYPE_CHECKING:
    from rich.console import Console


def run_suite(
    suite: SuiteConfig,
    results: Path,
    workers: int | None,
    console: Console,
    engine: Engine = "processes",
    ray_address: str | None = None,
) -> list[Record]:
    """Run what is not finished yet and return the records of all cells, in order.

    Parameters
    ----------
    results
        Folder of all suites; this one's is ``results / suite.name``.
    workers, engine, ray_address
        See :func:`benchmarks.engines.play`.

    Raises
    ------
    UserError
        If the suite names something unknown, a record is damaged, another run is in the folder or
        there is no cluster; nothing has run then.
    """
    folder = results / suite.name
    cells = cells_of(suite)
    with alone_in(folder):
        for path in (folder / "cells").glob(".*.tmp"):  # of a write that a kill cut off
            path.unlink()
        waiting = [cell for cell in cells if not _is_finished(folder, cell)]
        if len(cells) > len(waiting):
            console.print(f"{len(cells) - len(waiting)} of {len(cells)} cells are finished already")
        if waiting:
            _run(waiting, len(cells), folder, workers, console, engine, ray_address)
        return [read_record(folder, cell) for cell in cells]


def _record_path(folder: Path, cell: Cell) -> Path:
    return folder / "cells" / f"{cell.stem}.json"


def read_record(folder: Path, cell: Cell) -> Record:
    """Record of a cell in the folder of its suite.

    Raises
    ------
    UserError
        If the file is damaged or is that of another cell.
    """
    path = _record_path(folder, cell)
    record = read(path)
    names = (record.hash, record.instance, record.contestant, record.seed)
    lengths = {len(values) for values in (record.costs, record.bounds) if values is not None}
    if names != (cell.hash, cell.instance, cell.contestant.label, cell.seed):
        raise UserError(f"{path}: holds the record of another cell; {ADVICE}")
    if lengths - {cell.episodes}:
        raise UserError(f"{path}: expected {cell.episodes} episodes, got {lengths}; {ADVICE}")
    return record


def _is_finished(folder: Path, cell: Cell) -> bool:
    return _record_path(folder, cell).exists() and read_record(folder, cell).status == "ok"


def _run(
    waiting: list[Cell],
    total: int,
    folder: Path,
    workers: int | None,
    console: Console,
    engine: Engine,
    ray_address: str | None,
) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    running: dict[str, tuple[str, float]] = {}  # title and start of what is under way
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total, completed=total - len(waiting), now="")

        def show() -> None:
            progress.update(task, now="; ".join(title for title, _ in list(running.values())))

        def started() -> Iterator[Cell]:
            for cell in waiting:
                running[cell.stem] = (cell.title, time.monotonic())
                show()
                yield cell

        played = play(started(), folder, workers, engine, ray_address)
        with contextlib.closing(played):
            for cell, record in played:
                record.write(_record_path(folder, cell))
                seconds = time.monotonic() - running.pop(cell.stem)[1]
                show()
                line = _line(cell, record, folder, seconds)
                console.print(line, highlight=False, markup=False, soft_wrap=True)
                progress.advance(task)


def _line(cell: Cell, record: Record, folder: Path, seconds: float) -> str:
    """What became of a cell."""
    if record.status == "failed":
        return f"{cell.title}: failed: {record.reason} (log: {log_path(folder, cell)})"
    values = record.costs if record.costs is not None else record.bounds
    assert values is not None
    what = "cost" if record.costs is not None else "bound"
    return f"{cell.title}: {what} {sum(values) / len(values):.6g}  ({seconds:.1f} s)"
