"""Where the cells of a suite are played: in processes of this machine, or on a Ray cluster.

Either way joblib hands out the cells, and every record comes back to the one process that writes.
"""

from __future__ import annotations

import threading
import typing
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from benchmarks.cells import Cell
from benchmarks.processes import one_thread
from benchmarks.provenance import cores
from benchmarks.records import Record
from benchmarks.supervision import supervise

Engine = Literal["processes", "ray"]
ENGINES: tuple[Engine, ...] = typing.get_args(Engine)


def play(
    cells: Iterable[Cell],
    folder: Path,
    workers: int | None,
    engine: Engine = "processes",
    address: str | None = None,
) -> Generator[tuple[Cell, Record], None, None]:
    """Play cells and yield their records in the order in which they end.

    Parameters
    ----------
    cells
        Taken one by one, each when there is a place for it.
    folder
        Of the suite; logs and trainings go there.
    workers
        Cells side by side (default: cores of this machine; with Ray, CPUs of the cluster, or its
        GPUs where agents are trained on GPUs).
    engine
        "processes" or "ray".
    address
        Of the Ray cluster (default: ``RAY_ADDRESS``, or the cluster that runs on this machine).

    Raises
    ------
    UserError
        If there is no such cluster, or it is smaller than ``workers``.
    """
    if engine == "ray":
        from benchmarks.cluster import play_on_cluster

        return play_on_cluster(cells, folder, workers, address)
    return _play_here(cells, folder, workers or cores())


def _play_here(
    cells: Iterable[Cell], folder: Path, workers: int
) -> Generator[tuple[Cell, Record], None, None]:
    """Threads of this process, each of which supervises the process of a cell.

    joblib's own processes would not do: when one dies, the work of all is lost.
    """
    from joblib import Parallel, delayed

    stop = threading.Event()

    def task(cell: Cell) -> tuple[Cell, Record]:
        return cell, supervise(cell, folder, stop)

    parallel = Parallel(
        workers, backend="threading", return_as="generator_unordered", pre_dispatch=workers
    )
    with one_thread(), closed_quietly(parallel(delayed(task)(cell) for cell in cells)) as results:
        try:
            for result in results:  # noqa: UP028  (the end of this must come before that of joblib)
                yield result
        finally:
            stop.set()


@contextmanager
def closed_quietly(results: Generator[Any, None, None]) -> Iterator[Generator[Any, None, None]]:
    """Results of joblib that may be left before their end; joblib would warn of that."""
    try:
        yield results
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()
