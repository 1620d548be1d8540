"""Cells on the nodes of a Ray cluster, by joblib's Ray backend.

Nodes need not share a file system: a cell's files (its log, and what there is of its training) go
to the node with it and come back with its record. The package must be installed on all nodes.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cells import Cell, failed_record
from benchmarks.engines import closed_quietly
from benchmarks.errors import UserError
from benchmarks.files import write_atomically
from benchmarks.processes import one_thread
from benchmarks.provenance import versions
from benchmarks.records import Record
from benchmarks.supervision import log_path, supervise, training_folder
from benchmarks.training import DEVICE, device

#: Contents of files by their names in the folder of the suite.
Files = dict[str, bytes]


def play_on_cluster(
    cells: Iterable[Cell], folder: Path, workers: int | None, address: str | None
) -> Generator[tuple[Cell, Record], None, None]:
    """See :func:`benchmarks.engines.play`."""
    import ray
    from joblib import Parallel, delayed
    from ray.util.joblib.ray_backend import RayBackend
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    class Backend(RayBackend):  # type: ignore[misc]
        """Ray's pool calls back when a task ends, which is all that a generator needs."""

        supports_return_generator = True

    def task(cell: Cell) -> Any:
        return delayed(_forward)(cell, _files(folder, cell), device(), per_cell)

    with _connected(address):
        per_cell, places = _resources()
        if workers is not None and workers > places:
            raise UserError(f"workers: expected at most the cluster's {places}, got {workers}")
        # Ray's pool deals out tasks in turn, to busy actors too. So there are two that only wait,
        # beside the driver, for any number of cells at once; and Ray runs each cell where there is
        # room.
        here = ray.get_runtime_context().get_node_id()
        waiting = {
            "num_cpus": 0,
            "max_concurrency": places,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=False),
        }
        parallel = Parallel(
            2,
            backend=Backend(ray_remote_args=waiting),
            return_as="generator_unordered",
            pre_dispatch=workers or places,
            batch_size=1,
        )
        with closed_quietly(parallel(map(task, cells))) as results:
            for cell, record, files in results:
                _replace_files(folder, cell, files)
                yield cell, _of_this_version(cell, record)


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    import ray

    address = address or os.environ.get("RAY_ADDRESS", "auto")
    host, colon, port = address.rpartition(":")
    try:
        if colon and port.isdigit():
            # Ray itself would try for minutes.
            socket.create_connection((host.rpartition("/")[2], int(port)), timeout=10).close()
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise UserError(
            f"ray-address: no Ray cluster at {address!r} ({' '.join(str(error).split())}); start"
            " one by `ray start --head`, and name it by --ray-address or RAY_ADDRESS"
        ) from error
    try:
        yield
    except ray.exceptions.RayError as error:
        raise UserError(
            f"ray-address: the cluster at {address!r} has failed ({' '.join(str(error).split())});"
            " once it is back, run the same command again: what is finished is kept"
        ) from error
    finally:
        ray.shutdown()


def _resources() -> tuple[dict[str, int], int]:
    """What a cell needs, and for how many the cluster has room.

    Raises
    ------
    UserError
        If it has room for none.
    """
    import ray

    gpu = device().startswith("cuda")
    per_cell = {"num_cpus": 1, "num_gpus": 1 if gpu else 0}
    total = ray.cluster_resources()  # type: ignore[no-untyped-call]
    places = int(min(total.get("CPU", 0), total.get("GPU", 0) if gpu else float("inf")))
    if total.get("CPU", 0) < 2:  # joblib's Ray backend runs a pool of one on the driver
        raise UserError("ray-address: expected a cluster with at least 2 CPUs")
    if places < 1:
        raise UserError("device: the cluster has no GPU")
    return per_cell, places


def _forward(
    cell: Cell, files: Files, device: str, per_cell: dict[str, int]
) -> tuple[Cell, Record, Files]:
    """Have Ray play a cell, and once more if the process or its node dies."""
    import ray

    play = ray.remote(_play).options(max_retries=1, **per_cell)
    try:
        return cell, *ray.get(play.remote(cell, files, device))
    except ray.exceptions.RayError as error:
        return cell, failed_record(cell, f"Ray: {type(error).__name__}: {error}"), files


def _play(cell: Cell, files: Files, device: str) -> tuple[Record, Files]:
    """Play a cell on this node, in a folder that lasts as long."""
    os.environ[DEVICE] = device
    with tempfile.TemporaryDirectory(prefix="or-bench-") as name, one_thread():
        folder = Path(name)
        _replace_files(folder, cell, files)
        return supervise(cell, folder), _files(folder, cell)


def _files(folder: Path, cell: Cell) -> Files:
    """Log and training of a cell."""
    paths = [log_path(folder, cell), *training_folder(folder, cell).rglob("*")]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file() and not path.name.startswith(".")  # of a write that was cut off
    }


def _replace_files(folder: Path, cell: Cell, files: Files) -> None:
    """Make log and training of a cell what they were elsewhere."""
    for name, content in files.items():
        write_atomically(folder / name, content)
    for name in _files(folder, cell).keys() - files.keys():
        (folder / name).unlink()


def _of_this_version(cell: Cell, record: Record) -> Record:
    """Refuse the result of another version of the package, which may be another result."""
    here, there = versions()["or-envs"], record.versions["or-envs"]
    if here == there:
        return record
    return failed_record(cell, f"a node has or-envs {there}, but the driver {here}; make them one")
