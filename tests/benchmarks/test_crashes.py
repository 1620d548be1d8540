"""Whatever dies or breaks, no finished cell is lost or counted twice, and the error is of help."""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from benchmarks.config import load_suite
from benchmarks.errors import UserError
from benchmarks.files import alone_in
from benchmarks.records import read
from benchmarks.runner import run_suite

from .helpers import ROOT, bench, fake, run, write_suite

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL, mount")


def start(suite, results, *arguments, **options):
    """Start the command line and let it run."""
    command = [sys.executable, "-m", "benchmarks", "leaderboard", "--suite", str(suite)]
    return subprocess.Popen(
        [*command, "--results", str(results), "--pictures", "0", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def when(condition, process, seconds=300):
    """Wait for something true, as long as the process lives."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return condition()


def pids(path):
    """Process of a stuck contestant, and its parent."""
    return tuple(map(int, path.read_text().split())) if path.exists() else ()


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def counted(folder):
    marks = folder / "marks"
    marks.mkdir(exist_ok=True)
    return marks, fake("marked", settings={"folder": str(marks)})


def test_a_killed_worker_is_tried_again_at_once(tmp_path):
    marks, marked = counted(tmp_path)
    path = tmp_path / "stuck"
    suite = write_suite(
        tmp_path, marked, fake("stuck_at_first", settings={"path": str(path)}), fake("idle")
    )
    process = start(suite, tmp_path / "results", "--workers", "2")
    when(lambda: len(pids(path)) == 2, process)
    os.kill(pids(path)[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "failed" not in output
    records, table = run(suite, tmp_path / "results")
    assert [record.status for record in records] == ["ok"] * 3
    assert sorted(row.contestant for row in table.rows) == ["idle", "marked", "stuck_at_first"]
    assert len(list(marks.iterdir())) == 1


def test_a_worker_that_always_dies_fails_and_harms_no_other(tmp_path):
    suite = write_suite(tmp_path, fake("dying"), fake("idle"))
    records, _ = run(suite, tmp_path)
    assert [record.status for record in records] == ["failed", "ok"]
    assert records[0].reason == "the worker process died 2 times, at last with exit code 7"


@pytest.mark.slow
@pytest.mark.parametrize(("by", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_the_driver_takes_its_workers_along_and_a_second_run_goes_on(tmp_path, by, code):
    marks, marked = counted(tmp_path)
    path = tmp_path / "stuck"
    suite = write_suite(tmp_path, marked, fake("stuck_at_first", settings={"path": str(path)}))
    results = tmp_path / "results"

    def hear():  # where the tests run in the background, Ctrl-C is not for them
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = start(suite, results, "--workers", "2", preexec_fn=hear)
    cells = results / "tiny" / "cells"
    when(lambda: len(pids(path)) == 2 and list(cells.glob("*.json")), process)
    process.send_signal(by)
    assert process.wait(timeout=120) == code
    deadline = time.monotonic() + 120
    while is_alive(pids(path)[0]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(list(cells.glob("*.json"))) == 1
    again = bench("leaderboard", "--suite", suite, "--results", results, "--pictures", "0")
    assert again.returncode == 0, again.stderr
    assert "1 of 2 cells are finished already" in again.stdout
    assert len(list(cells.glob("*.json"))) == 2
    assert len(list(marks.iterdir())) == 1


def test_two_drivers_are_not_let_into_one_folder(tmp_path):
    path = tmp_path / "stuck"
    suite = write_suite(tmp_path, fake("stuck_at_first", settings={"path": str(path)}))
    results = tmp_path / "results"
    first = start(suite, results)
    when(lambda: len(pids(path)) == 2, first)
    second = bench("leaderboard", "--suite", suite, "--results", results, "--pictures", "0")
    assert second.returncode == 2
    (line,) = second.stderr.splitlines()
    for part in (f"{results / 'tiny'} is in use by process {first.pid} on", "wait for its end"):
        assert part in line
    # The lock goes with its holder.
    first.kill()
    first.communicate()
    records, _ = run(suite, results)
    assert [record.status for record in records] == ["ok"]


def test_a_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), alone_in(tmp_path):
        raise ZeroDivisionError
    refused = pytest.raises(UserError, match="in use by process")
    with alone_in(tmp_path), refused, alone_in(tmp_path):
        pass


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place):
    ballast = place / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


def test_a_full_disk_says_so_and_the_run_goes_on_once_there_is_room(tmp_path, small_disk):
    marks, marked = counted(tmp_path)
    suite = write_suite(tmp_path, marked)
    run(suite, small_disk)
    suite = write_suite(tmp_path, marked, fake("idle"), fake("first_item"))
    ballast = fill(small_disk)
    full = bench(
        "leaderboard",
        "--suite",
        suite,
        "--results",
        small_disk,
        "--pictures",
        "0",
        "--workers",
        "1",
    )
    assert full.returncode == 2
    (line,) = full.stderr.splitlines()
    assert "no space left on device; make room and run the same command again" in line
    assert str(small_disk) in line
    for path in (small_disk / "tiny" / "cells").iterdir():
        read(path)
    ballast.unlink()
    records, _ = run(suite, small_disk)
    assert [record.status for record in records] == ["ok"] * 3
    assert len(list(marks.iterdir())) == 1
    assert not list((small_disk / "tiny" / "cells").glob(".*"))


def test_a_disk_that_fills_up_while_records_are_written(tmp_path):
    """A limit on the size of files stands for the disk: it lets logs and the lock through."""
    suite = write_suite(tmp_path, fake("idle"), fake("first_item"), episodes=200)
    results = tmp_path / "results"

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    process = start(suite, results, "--workers", "1", preexec_fn=limit)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 2, output
    assert "file too large; make room and run the same command again" in output
    assert list((results / "tiny" / "cells").iterdir()) == []
    records, _ = run(suite, results)
    assert [record.status for record in records] == ["ok", "ok"]


def test_a_training_on_a_full_disk_is_told_so(tmp_path, small_disk):
    fill(small_disk)
    command = ["train", "--algo", "ppo", "--env", "or_envs/LotSizing-v0", "--timesteps", "40"]
    result = bench(*command, "--output", small_disk)
    assert result.returncode == 2
    assert "no space left on device; make room" in result.stderr


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:100], "damaged at line"),
        (lambda text: text.replace('"seed": 0', '"seed": "0"'), "field 'seed' has a wrong type"),
        (lambda text: text.replace('"costs": [', '"costs": [NaN,'), "field 'costs' has a wrong"),
        (lambda text: text.replace('"costs": [', '"costs": [1.0,'), "expected 4 episodes"),
        (lambda text: text.replace('"idle"', '"first_item"'), "the record of another cell"),
        (lambda text: json.dumps({**json.loads(text), "costs": None}), "neither costs nor bounds"),
    ],
)
def test_a_corrupted_record_is_named(tmp_path, damage, message):
    suite = write_suite(tmp_path, fake("idle"))
    run(suite, tmp_path)
    (path,) = (tmp_path / "tiny" / "cells").iterdir()
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=message) as error:
        run_suite(load_suite(str(suite)), tmp_path, 1, Console(quiet=True))
    assert str(error.value).startswith(f"{path}: ")
    assert "delete this file" in str(error.value)
    path.unlink()
    records, _ = run(suite, tmp_path)
    assert [record.status for record in records] == ["ok"]
