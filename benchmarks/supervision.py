"""A cell in a process of its own, and the one who watches over it."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection, wait
from pathlib import Path

from benchmarks.cells import Cell, failed_record, run_cell
from benchmarks.processes import become_worker
from benchmarks.records import Record

#: How often a cell is started at most: a process may die through no fault of the cell.
_TRIES = 2
#: Seconds between looks at the clock.
_TICK = 0.2
#: Seconds that a process has to end (and to complete its log) after it has delivered its record.
_FAREWELL = 5.0
#: multiprocessing counts its children without a lock, and cells are supervised by threads.
_CHILDREN = threading.Lock()


def log_path(folder: Path, cell: Cell) -> Path:
    """What a cell prints, in the folder of its suite."""
    return folder / "logs" / f"{cell.stem}.log"


def training_folder(folder: Path, cell: Cell) -> Path:
    """Checkpoints and model of a trained contestant, in the folder of its suite."""
    return folder / "training" / cell.stem


def supervise(cell: Cell, folder: Path, stop: threading.Event | None = None) -> Record:
    """Play a cell in a process of its own, in one more if that dies, and return its record.

    Parameters
    ----------
    folder
        Of the suite; the cell's log and training go below it, its record does not.
    stop
        Once it is set the process is ended, and the record says no more than that.
    """
    log = log_path(folder, cell)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    for _ in range(_TRIES):
        ending = _try(cell, training_folder(folder, cell), log, stop)
        if isinstance(ending, Record):
            return ending
    reason = f"the worker process died {_TRIES} times, at last with exit code {ending}"
    if ending == -signal.SIGKILL:
        reason += " (killed; if for lack of memory, run with fewer --workers)"
    return failed_record(cell, reason)


def _try(cell: Cell, work: Path, log: Path, stop: threading.Event | None) -> Record | int | None:
    """The record, or the exit code of a process that died before it had one."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(cell, work, log, sender))
    with _CHILDREN:
        process.start()
    sender.close()  # the process's own end is left, and is closed when it dies
    deadline = time.monotonic() + cell.time_limit
    try:
        while not wait([receiver, process.sentinel], timeout=_TICK):
            if time.monotonic() > deadline:
                limit = f"time limit of {cell.time_limit:g} s"
                return failed_record(cell, f"stopped: not finished within the {limit}")
            if stop is not None and stop.is_set():
                return failed_record(cell, "stopped: the run was interrupted")
        with contextlib.suppress(EOFError):
            if receiver.poll():
                record: Record = receiver.recv()
                wait([process.sentinel], timeout=_FAREWELL)
                return record
        wait([process.sentinel], timeout=_FAREWELL)
    finally:
        # Its files are safe, for they are written atomically.
        process.kill()
        with _CHILDREN:
            process.join()
        receiver.close()
    return process.exitcode


def _work(cell: Cell, work: Path, log: Path, results: Connection) -> None:
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; it ends this process
    become_worker(log)
    record = run_cell(cell, work)
    sys.stdout.flush()
    results.send(record)
