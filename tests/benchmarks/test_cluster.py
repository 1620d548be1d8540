"""A suite on a Ray cluster of two nodes, which the test starts; cells and nodes die."""

import os
import signal

import pytest

from benchmarks.cli import main

from .helpers import bench, fake, run, write_suite
from .test_crashes import counted, is_alive, pids, start, when

pytest.importorskip("ray.cluster_utils", reason="extra cluster")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    made.add_node(**node)
    yield made
    made.shutdown()


def on(cluster):
    # A picture would build the contestant that counts how often it is built.
    return ["--engine", "ray", "--ray-address", cluster.address, "--pictures", "0"]


def statuses(suite, results):
    """By contestant, after a run that finds all cells finished."""
    records, table = run(suite, results)
    assert len(records) == len(table.rows)
    return {record.contestant: record.status for record in records}


def test_killed_cells_and_supervisors_are_tried_again(tmp_path, cluster):
    marks, marked = counted(tmp_path)
    paths = [tmp_path / f"stuck{k}" for k in range(2)]
    stuck = [
        fake("stuck_at_first", label=f"stuck{k}", settings={"path": str(path)})
        for k, path in enumerate(paths)
    ]
    suite = write_suite(tmp_path, *stuck, marked, fake("raising"), fake("idle"), fake("dying"))
    results = tmp_path / "results"
    process = start(suite, results, *on(cluster))
    when(lambda: all(len(pids(path)) == 2 for path in paths), process)
    # Each of the nodes, with one CPU, plays one of them: kill one cell, and one cell's supervisor.
    os.kill(pids(paths[0])[0], signal.SIGKILL)
    os.kill(pids(paths[1])[1], signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert not any(is_alive(pid) for path in paths for pid in pids(path)[:1])
    names = [path.name.split("--")[1] for path in (results / "tiny" / "cells").iterdir()]
    assert sorted(names) == ["dying", "idle", "marked", "raising", "stuck0", "stuck1"]
    assert len(list(marks.iterdir())) == 1
    log = next((results / "tiny" / "logs").glob("*raising*"))
    assert "a deliberate" in log.read_text()
    assert statuses(suite, results) == {
        **dict.fromkeys(["stuck0", "stuck1", "marked", "idle"], "ok"),
        **dict.fromkeys(["raising", "dying"], "failed"),
    }
    assert len(list(marks.iterdir())) == 1


def test_a_killed_driver_loses_no_finished_cell(tmp_path, cluster):
    marks, marked = counted(tmp_path)
    path = tmp_path / "stuck"
    suite = write_suite(tmp_path, marked, fake("stuck_at_first", settings={"path": str(path)}))
    results = tmp_path / "results"
    process = start(suite, results, *on(cluster))
    cells = results / "tiny" / "cells"
    when(lambda: len(pids(path)) == 2 and list(cells.glob("*.json")), process)
    process.kill()
    process.communicate()
    again = bench("leaderboard", "--suite", suite, "--results", results, *on(cluster))
    assert again.returncode == 0, again.stderr
    assert "1 of 2 cells are finished already" in again.stdout
    assert "raylet" not in again.stdout  # nothing is wrong
    assert not is_alive(pids(path)[0])
    assert len(list(marks.iterdir())) == 1
    assert statuses(suite, results) == {"marked": "ok", "stuck_at_first": "ok"}


def test_a_training_goes_to_the_node_and_comes_back(tmp_path, cluster):
    settings = {"n_envs": 2, "n_steps": 20, "batch_size": 20, "n_epochs": 1}
    agent = {"name": "ppo", "timesteps": 80, "settings": settings}
    suite = write_suite(tmp_path, agent)
    results = tmp_path / "results"
    arguments = ["leaderboard", "--suite", suite, "--results", results, *on(cluster)]
    assert bench(*arguments).returncode == 0
    (folder,) = (results / "tiny" / "training").iterdir()
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["curve.csv", "curve.png", "model.safetensors"]
    # Without its record, the cell is played with the model that is there.
    before = (folder / "model.safetensors").stat().st_mtime_ns, (folder / "curve.csv").read_bytes()
    (record,) = (results / "tiny" / "cells").iterdir()
    record.unlink()
    assert bench(*arguments).returncode == 0
    assert (folder / "curve.csv").read_bytes() == before[1]
    assert statuses(suite, results) == {"ppo": "ok"}


def test_the_cell_of_a_dead_node_is_played_by_another(tmp_path, cluster):
    node = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    paths = [tmp_path / f"stuck{k}" for k in range(3)]
    stuck = [
        fake("stuck_at_first", label=f"stuck{k}", settings={"path": str(path)})
        for k, path in enumerate(paths)
    ]
    suite = write_suite(tmp_path, *stuck)
    results = tmp_path / "results"
    process = start(suite, results, *on(cluster))
    when(lambda: all(len(pids(path)) == 2 for path in paths), process)
    players = [pids(path)[0] for path in paths]
    cluster.remove_node(node, allow_graceful=False)
    when(lambda: sum(map(is_alive, players)) == 2, process)
    for pid in filter(is_alive, players):
        os.kill(pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert statuses(suite, results) == {f"stuck{k}": "ok" for k in range(3)}


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["--workers", "9"], "workers: expected at most the cluster's"),
        (["--device", "cuda"], "device: the cluster has no GPU"),
    ],
)
def test_what_the_cluster_has_not(tmp_path, cluster, capsys, more, part):
    suite = write_suite(tmp_path, fake("idle"))
    arguments = ["leaderboard", "--suite", str(suite), "--results", str(tmp_path), *on(cluster)]
    assert main([*arguments, *more]) == 2
    assert part in capsys.readouterr().err


def test_no_cluster(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    suite = write_suite(tmp_path, fake("idle"))
    arguments = ["leaderboard", "--suite", str(suite), "--results", str(tmp_path)]
    assert main([*arguments, "--engine", "ray", "--ray-address", "127.0.0.1:1"]) == 2
    error = capsys.readouterr().err
    assert "no Ray cluster at '127.0.0.1:1'" in error
    assert "ray start --head" in error
    assert main([*arguments, "--ray-address", "127.0.0.1:1"]) == 2
    assert "give --engine ray" in capsys.readouterr().err
