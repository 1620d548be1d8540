import csv
import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks.cells import cells_of, failed_record
from benchmarks.claim import THRESHOLDS, build_claim
from benchmarks.claim_report import to_csv, to_html, to_markdown, write_claim
from benchmarks.cli import main
from benchmarks.config import ClaimConfig, load_suite
from benchmarks.errors import UserError
from benchmarks.statistics import interquartile_mean, paired_difference

from .helpers import fake, write_suite

CONFIG = ClaimConfig("ppo", "idle", "greedy")
#: What 5 runs cost on average: clearly better than the reference, like it, and clearly worse.
LEVELS = {"ppo": 60.0, "good": 40.0, "same": 60.5, "bad": 90.0}


@pytest.fixture
def records(tmp_path):
    """Two instances; idle costs 100 and greedy 20 in both; 10 episodes that all share."""
    (cell,) = cells_of(load_suite(str(write_suite(tmp_path, fake("idle")))))
    blank = dataclasses.replace(failed_record(cell, ""), status="ok", reason="")
    rng = np.random.default_rng(0)
    made = []
    for instance in ("one", "two"):
        luck = rng.normal(0, 5, size=10)
        luck -= luck.mean()

        def record(name, seed, cost, instance=instance, luck=luck, **fields):
            costs = (cost + luck).tolist()
            fields = {"contestant": name, "seed": seed, "instance": instance, **fields}
            return dataclasses.replace(blank, costs=costs, **fields)

        made += [record("idle", 0, 100.0), record("greedy", 0, 20.0)]
        made.append(record("bound", 0, 1.0, kind="solver"))
        for name, level in LEVELS.items():
            made += [
                record(name, seed, level + noise, learned=True)
                for seed, noise in enumerate(rng.permutation([-3.0, -1.0, 0.0, 1.0, 3.0]))
            ]
    return made


def test_figures_by_hand(records):
    claim = build_claim(records, CONFIG)
    rows = {(row.instance, row.arm): row for row in claim.rows}
    good = rows["one", "good"]
    assert good.runs == 5
    assert good.cost == pytest.approx(40)  # mean of the middle three
    assert good.cost_low < 40 < good.cost_high
    assert good.score == pytest.approx((100 - 40) / 80)
    assert good.improvement == 1.0
    assert good.difference == pytest.approx(-20)
    assert (good.p_value, good.p_holm) == (pytest.approx(2 / 252), pytest.approx(4 / 252))
    bad = rows["two", "bad"]
    assert (bad.improvement, bad.difference) == (0.0, pytest.approx(30))
    same = rows["two", "same"]
    assert same.difference == pytest.approx(0.5)
    # Of the 25 pairs (noise + 0.5 against noise) those with a smaller noise are better: 10.
    assert same.improvement == pytest.approx(10 / 25)
    assert same.p_holm == 1.0
    verdicts = {arm: rows["one", arm].verdict for arm in LEVELS}
    assert verdicts == {"good": "better", "same": "no difference shown", "bad": "worse", "ppo": ""}
    assert rows["one", "idle"].score == 0
    assert rows["one", "greedy"].score == 1
    assert rows["one", "greedy"].cost_low is None
    assert rows["one", "greedy"].verdict == rows["all", "good"].verdict == ""
    assert ("one", "bound") not in rows
    overall = rows["all", "good"]
    assert overall.cost is None
    assert overall.score == pytest.approx((100 - 40) / 80)
    assert overall.improvement == 1.0
    assert overall.score_low < overall.score < overall.score_high
    order = [row.arm for row in claim.rows if row.instance == "one"]
    assert order == ["greedy", "good", "ppo", "same", "bad", "idle"]
    assert claim.profiles.keys() == LEVELS.keys()
    half = claim.profiles["good"][THRESHOLDS.searchsorted(0.75)]
    assert half == pytest.approx(0.4)  # the two with noise -1 and -3; the one at 0.75 is not above


def test_the_statistics_are_those_of_the_module(records):
    rows = {(row.instance, row.arm): row for row in build_claim(records, CONFIG).rows}
    costs = {
        name: np.array([r.costs for r in records if (r.instance, r.contestant) == ("two", name)])
        for name in ("same", "ppo")
    }
    expected = paired_difference(costs["same"], costs["ppo"])
    same = rows["two", "same"]
    found = (same.difference, same.difference_low, same.difference_high)
    assert found == (expected.value, expected.low, expected.high)
    assert same.cost == interquartile_mean([costs["same"].mean(axis=1)])


def test_failed_runs_are_left_out_and_named(records):
    broken = [
        dataclasses.replace(r, status="failed", costs=None)
        if (r.instance, r.contestant, r.seed) == ("two", "good", 3)
        else r
        for r in records
    ]
    claim = build_claim(broken, CONFIG)
    assert claim.missing == ("two: good: not all of its runs have succeeded",)
    assert [row.instance for row in claim.rows if row.arm == "good"] == ["one"]
    assert "Left out: two: good" in to_markdown(claim)
    # Holm's correction is over the instances that are left.
    (good,) = (row for row in claim.rows if row.arm == "good")
    assert good.p_holm == good.p_value
    for name in dataclasses.asdict(CONFIG).values():
        without = [
            dataclasses.replace(r, status="failed", costs=None) if r.contestant == name else r
            for r in records
        ]
        with pytest.raises(UserError, match=f"claim: one: '{name}' has no costs"):
            build_claim(without, CONFIG)


def test_too_few_runs_are_called_so(records):
    few = [r for r in records if r.seed < 3]
    verdicts = {row.verdict for row in build_claim(few, CONFIG).rows if row.arm in ("good", "same")}
    assert verdicts == {"too few runs", ""}  # three against three: at best 2 / 20


def test_scores_need_two_levels(records):
    with pytest.raises(
        UserError, match=r"greedy \(score 0\) costs 20 and must cost more than idle"
    ):
        build_claim(records, ClaimConfig("ppo", "greedy", "idle"))


def test_files(records, tmp_path):
    claim = build_claim(records, CONFIG)
    write_claim(claim, tmp_path, Console(quiet=True))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "claim.csv").read_text())))
    assert len(rows) == 3 * 6
    (good,) = (row for row in rows if (row["instance"], row["arm"]) == ("one", "good"))
    assert (float(good["cost"]), good["verdict"]) == (pytest.approx(40), "better")
    assert rows[0]["p_holm"] == ""
    assert to_csv(claim) == (tmp_path / "claim.csv").read_text()
    page = to_html(claim)
    assert "All instances" in page
    assert '<svg class="chart"' in page
    assert "| good | 5 | 40" in (tmp_path / "claim.md").read_text()


def test_command_line(tmp_path):
    suite = write_suite(
        tmp_path,
        fake("idle"),
        fake("first_item", seeds=[0, 1]),
        claim={"reference": "first_item", "score_zero": "idle", "score_one": "first_item"},
        episodes=2,
    )
    assert main(["leaderboard", "--suite", str(suite), "--results", str(tmp_path)]) == 0
    rows = list(csv.DictReader((tmp_path / "tiny" / "claim.csv").open()))
    assert {row["arm"]: float(row["score"]) for row in rows} == {"idle": 0.0, "first_item": 1.0}
