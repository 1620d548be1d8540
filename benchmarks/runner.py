"""Runs the cells of a suite side by side, each in a process of its own.

A cell that raises, breaks a rule, takes too long or dies leaves a record with the reason, and is
tried again by the next run. A finished cell is never run twice.
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cells import Cell, cells_of, failed_record, run_cell
from benchmarks.config import SuiteConfig
from benchmarks.processes import become_worker, one_thread
from benchmarks.records import Record, read

if TYPE_CHECKING:
    from rich.console import Console


def run_suite(suite: SuiteConfig, results: Path, workers: int, console: Console) -> list[Record]:
    """Run what is not finished yet and return the records of all cells, in order.

    Parameters
    ----------
    results
        Folder of all suites; this one's is ``results / suite.name``.
    workers
        Processes side by side.

    Raises
    ------
    UserError
        If the suite names something unknown or a record is damaged; nothing has run then.
    """
    folder = results / suite.name
    cells = cells_of(suite)
    waiting = []
    for cell in cells:
        path = _record_path(folder, cell)
        if not path.exists() or read(path).status == "failed":
            waiting.append(cell)
    _run(waiting, len(cells), folder, workers, console)
    return [read(_record_path(folder, cell)) for cell in cells]


def _record_path(folder: Path, cell: Cell) -> Path:
    return folder / "cells" / f"{cell.stem}.json"


def _run(waiting: list[Cell], total: int, folder: Path, workers: int, console: Console) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if total > len(waiting):
        console.print(f"{total - len(waiting)} of {total} cells are finished already")
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    running: list[_Running] = []
    queue = list(waiting)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total, completed=total - len(waiting), now="")
        try:
            while queue or running:
                while queue and len(running) < workers:
                    running.append(_Running(queue.pop(0), folder))
                progress.update(task, now="; ".join(work.cell.title for work in running))
                wait([work.process.sentinel for work in running], timeout=0.5)
                for work in [work for work in running if work.over()]:
                    running.remove(work)
                    console.print(work.finish(), highlight=False, markup=False, soft_wrap=True)
                    progress.advance(task)
        finally:
            for work in running:
                work.stop()


class _Running:
    """One cell in its process."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        self.cell = cell
        self.record = _record_path(folder, cell)
        self.log = folder / "logs" / f"{cell.stem}.log"
        # A record of an earlier, failed try must not be taken for this one's.
        self.record.unlink(missing_ok=True)
        arguments = (cell, self.record, folder / "training" / cell.stem, self.log)
        self.process: SpawnProcess = multiprocessing.get_context("spawn").Process(
            target=_work, args=arguments
        )
        self.start = time.monotonic()
        with one_thread():
            self.process.start()

    def over(self) -> bool:
        """Whether the cell has ended; one that takes too long is ended here."""
        if self.process.exitcode is not None:
            return True
        if time.monotonic() - self.start <= self.cell.time_limit:
            return False
        self.stop()
        if not self.record.exists():
            reason = f"stopped: not finished within the time limit of {self.cell.time_limit:g} s"
            failed_record(self.cell, reason).write(self.record)
        return True

    def stop(self) -> None:
        """End the process at once; its files are safe, for they are written atomically."""
        self.process.kill()
        self.process.join()

    def finish(self) -> str:
        """See to it that there is a record, and describe it in one line."""
        self.process.join()
        if not self.record.exists():
            reason = f"the worker process died with exit code {self.process.exitcode}"
            failed_record(self.cell, reason).write(self.record)
        record = read(self.record)
        seconds = time.monotonic() - self.start
        if record.status == "failed":
            return f"{self.cell.title}: failed: {record.reason} (log: {self.log})"
        values = record.costs if record.costs is not None else record.bounds
        assert values is not None
        what = "cost" if record.costs is not None else "bound"
        return f"{self.cell.title}: {what} {sum(values) / len(values):.6g}  ({seconds:.1f} s)"


def _work(cell: Cell, record: Path, work: Path, log: Path) -> None:
    """What a worker process does."""
    become_worker(log)
    run_cell(cell, work).write(record)
