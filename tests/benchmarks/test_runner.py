import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import or_envs

from .helpers import ROOT, fake, run, write_suite


def test_contestants_meet_the_same_episodes_and_the_few_are_the_first(tmp_path):
    suite = write_suite(
        tmp_path, fake("idle"), fake("first_item", episodes=2), first_episode_seed=77
    )
    records, _ = run(suite, tmp_path)
    problem = or_envs.make_problem("or_envs/LotSizing-v0", instance="VI-A", horizon=5)
    instance, exogenous = or_envs.sample(problem, 77, 4)
    actions = {"idle": np.zeros((4, 5, 1), int), "first_item": np.ones((4, 5, 1), int)}
    for record, episodes in zip(records, (4, 2), strict=True):
        rollout = or_envs.simulate(problem, actions[record.contestant], instance, exogenous)
        assert record.costs == pytest.approx((-rollout.total_reward[:episodes]).tolist())


def test_failures_are_rows_with_their_reason(tmp_path):
    suite = write_suite(
        tmp_path,
        fake("idle"),
        fake("raising"),
        fake("outside"),
        fake("dying"),
        fake("Planner", settings={"error": 5.0}, sees_future=True),
        fake("nothing"),
    )
    records, table = run(suite, tmp_path)
    rows = {row.contestant: row for row in table.rows}
    assert rows["idle"].status == "ok"
    assert rows["raising"].status == "failed: RuntimeError: a deliberate failure"
    assert "InvalidAction" in rows["outside"].status
    assert "exit code 7" in rows["dying"].status
    assert "no attribute 'nothing'" in rows["nothing"].status
    planner = rows["Planner"]
    idle = records[0].costs[0]
    assert planner.kind == "solver"
    assert "ReplayMismatch" in planner.status
    assert repr(idle) in planner.status
    assert repr(idle + 5.0) in planner.status
    assert all(row.objective is None for name, row in rows.items() if name != "idle")
    logs = list((tmp_path / "tiny" / "logs").glob("*raising*"))
    assert "Traceback" in logs[0].read_text()


def test_a_cell_that_takes_too_long_is_stopped(tmp_path):
    slow = fake("patient", settings={"seconds": 60})
    suite = write_suite(tmp_path, slow, cell_time_limit=3)
    start = time.monotonic()
    _, table = run(suite, tmp_path)
    assert time.monotonic() - start < 30
    assert "time limit of 3 s" in table.rows[0].status


def test_finished_cells_are_not_run_again_and_failed_ones_are(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    flag = tmp_path / "flag"
    suite = write_suite(
        tmp_path,
        fake("marked", settings={"folder": str(marks)}),
        fake("good_after", settings={"path": str(flag)}),
    )
    _, table = run(suite, tmp_path)
    assert [row.status for row in table.rows] == ["ok", "failed: RuntimeError: not yet"]
    flag.touch()
    _, table = run(suite, tmp_path)
    assert [row.status for row in table.rows] == ["ok", "ok"]
    assert len(list(marks.iterdir())) == 1


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_suite_resumes_and_ends_with_the_same_table(tmp_path):
    contestants = [
        fake("idle"),
        fake("patient", settings={"seconds": 60}, label="third"),
        fake("first_item"),
    ]
    suite = write_suite(tmp_path, *contestants)
    results = tmp_path / "killed"
    command = [sys.executable, "-m", "benchmarks", "leaderboard", "--suite", str(suite)]
    process = subprocess.Popen(
        [*command, "--results", str(results), "--workers", "1"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    logs = results / "tiny" / "logs"
    deadline = time.monotonic() + 60
    while not list(logs.glob("*third*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = list((results / "tiny" / "cells").glob("*.json"))
    assert [path.name.split("--")[1] for path in done] == ["idle"]
    kept = done[0].read_bytes()

    contestants[1]["settings"]["seconds"] = 0.0
    suite = write_suite(tmp_path, *contestants)
    _, resumed = run(suite, results)
    assert done[0].read_bytes() == kept
    _, undisturbed = run(suite, tmp_path / "undisturbed")
    for a, b in zip(resumed.rows, undisturbed.rows, strict=True):
        assert (a.contestant, a.objective, a.ci_low, a.gap_percent, a.status) == (
            b.contestant,
            b.objective,
            b.ci_low,
            b.gap_percent,
            b.status,
        )
