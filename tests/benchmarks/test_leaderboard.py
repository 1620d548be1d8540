import csv
import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks.across import compare
from benchmarks.cells import cells_of, failed_record
from benchmarks.config import load_suite
from benchmarks.leaderboard import build_tables
from benchmarks.provenance import hardware
from benchmarks.report import to_csv, to_markdown, write_reports

from .helpers import fake, run, write_suite

COLUMNS = (
    "suite,env_id,instance,contestant,kind,learned,objective,ci_low,ci_high,iqm,iqm_low,iqm_high,"
    "gap_percent,gap_low,gap_high,reference,difference,difference_low,difference_high,"
    "train_seconds,decision_ms,seeds,episodes,sees_future,status,hardware,versions"
)


@pytest.fixture
def make(tmp_path):
    (cell,) = cells_of(load_suite(str(write_suite(tmp_path, fake("idle")))))
    blank = dataclasses.replace(failed_record(cell, ""), status="ok")

    def record(contestant, costs=None, bounds=None, **fields):
        fields = {"contestant": contestant, "costs": costs, "bounds": bounds, **fields}
        return dataclasses.replace(blank, **fields)

    return record


def _table(*records):
    (table,) = build_tables(records)
    return table, {row.contestant: row for row in table.rows}


def test_gap_is_paired_with_the_episodes_of_the_bound(make):
    table, rows = _table(
        make("greedy", [12.0, 14.0, 100.0]),
        make("oracle", [11.0, 11.0], [10.0, 10.0], kind="solver", sees_future=True),
    )
    assert rows["greedy"].objective == 42.0
    assert rows["greedy"].gap_percent == pytest.approx(30.0)
    assert rows["greedy"].reference == "oracle (dual bound), first 2 episodes"
    assert rows["oracle"].gap_percent == pytest.approx(10.0)
    assert rows["oracle"].kind == "solver"
    bound = rows["oracle (dual bound)"]
    assert (bound.kind, bound.objective, bound.gap_percent) == ("bound", 10.0, 0.0)
    assert [table.ranked(row) for row in table.rows] == [True, False, False]


def test_the_highest_bound_counts_and_one_in_expectation_before_one_per_trace(make):
    greedy = make("greedy", [12.0, 12.0])
    weak = make("weak", None, [6.0, 6.0], kind="solver", sees_future=True)
    # Best on average, but not on the episodes that all bounds cover.
    long = make("long", None, [5.0, 90.0], kind="solver", sees_future=True)
    short = make("short", None, [8.0], kind="solver", sees_future=True)
    expected = make("expected", None, [7.0, 7.0], kind="solver")
    _, rows = _table(greedy, weak, long, short)
    assert rows["greedy"].reference.startswith("short")
    _, rows = _table(greedy, weak, long, short, expected)
    assert rows["greedy"].reference == "expected"


def test_without_a_bound_the_best_contestant_is_the_reference(make):
    _, rows = _table(
        make("slow", [1.0]),
        make("good", [10.0, 10.0]),
        make("bad", [15.0, 15.0]),
        make("oracle", [2.0, 2.0], kind="solver", sees_future=True),
    )
    assert rows["bad"].reference == "good"
    assert rows["bad"].gap_percent == pytest.approx(50.0)
    assert rows["slow"].gap_percent == pytest.approx(-90.0)


def test_rows_are_sorted_and_future_bounds_and_failures_are_apart(make):
    table, _ = _table(
        make("failed", status="failed", reason="why"),
        make("bound", None, [0.5, 0.5], kind="solver"),
        make("oracle", [1.0, 1.0], kind="solver", sees_future=True),
        make("second", [3.0, 3.0]),
        make("first", [2.0, 2.0]),
    )
    names = [row.contestant for row in table.rows]
    assert names == ["first", "second", "oracle", "bound", "failed"]
    assert [table.ranked(row) for row in table.rows] == [True, True, False, False, False]


def test_a_mean_over_fewer_episodes_is_not_ranked(make):
    table, rows = _table(
        make("lucky", [1.0]), make("first", [1.0, 5.0]), make("second", [2.0, 5.0])
    )
    assert [row.contestant for row in table.rows] == ["first", "second", "lucky"]
    assert [table.ranked(row) for row in table.rows] == [True, True, False]
    assert rows["lucky"].gap_percent == 0.0


def test_one_failed_seed_fails_the_row(make):
    _, rows = _table(
        make("agent", [1.0, 2.0], learned=True),
        make("agent", seed=1, learned=True, status="failed", reason="diverged"),
    )
    assert rows["agent"].objective is None
    assert rows["agent"].status == "failed: seed 1: diverged"


def test_a_learned_policy_that_loses_is_named(make):
    greedy = make("greedy", [10.0, 10.0])
    agents = [make("agent", [11.0, 13.0], learned=True), make("good", [9.0, 9.0], learned=True)]
    table, _ = _table(greedy, *agents)
    (warning,) = table.warnings
    assert "agent costs 20.0 % more than the baseline greedy" in warning
    table, _ = _table(make("oracle", [1.0, 1.0], kind="solver", sees_future=True), *agents)
    assert table.warnings == ()


def test_csv_has_exactly_the_columns(make):
    tables = build_tables([make("a|b", [1.0, 2.0], train_seconds=1.5), make("c", status="failed")])
    text = to_csv(tables)
    assert text.splitlines()[0] == COLUMNS
    first, failed = csv.DictReader(io.StringIO(text))
    assert float(first["objective"]) == 1.5
    assert first["sees_future"] == "no"
    assert first["train_seconds"] == "1.5"
    assert failed["objective"] == ""
    assert first["learned"] == "no"
    assert first["hardware"] == hardware()
    assert f"numpy {np.__version__}" in first["versions"]
    assert "a\\|b" in to_markdown(tables, compare(tables))


def test_difference_from_the_best_is_taken_episode_by_episode(make):
    luck = np.random.default_rng(0).normal(0, 50, 40)
    table, rows = _table(
        make("best", list(100 + luck)),
        make("near", list(101 + luck + np.tile([-2.0, 2.0], 20))),
        make("level", list(100.1 + luck + np.tile([-2.0, 2.0], 20))),
        make("lucky", list(90 + luck[:4])),
        make("bound", None, list(80 + luck), kind="solver"),
    )
    assert [row.contestant for row in table.ranking] == ["best", "level", "near"]
    assert rows["best"].difference is None
    near, level = rows["near"], rows["level"]
    assert near.difference == pytest.approx(1.0)
    # Luck moves costs by 50, and the difference not at all.
    assert 0 < near.difference_low < 1 < near.difference_high < 2
    assert not near.level_with_best
    assert level.level_with_best
    assert rows["lucky"].difference == pytest.approx(-10.0)
    assert rows["bound"].difference == pytest.approx(-20.0)


def test_interquartile_mean_over_several_seeds(make):
    agents = [
        make("agent", [x, x + 2.0], seed=s, learned=True) for s, x in enumerate([1, 2, 3, 40])
    ]
    _, rows = _table(make("rule", [9.0, 9.0]), *agents)
    agent = rows["agent"]
    assert agent.iqm == pytest.approx(3.5)  # run means 2, 3, 4, 41: the middle two
    assert agent.iqm_low < 3.5 < agent.iqm_high
    assert (rows["rule"].iqm, rows["rule"].iqm_low) == (None, None)
    assert agent.look == "learned"
    assert rows["rule"].look == "rule"


def test_other_hardware_is_not_hidden(make):
    _, rows = _table(
        make("agent", [1.0, 2.0], hardware="A"), make("agent", [1.0, 2.0], seed=1, hardware="B")
    )
    assert rows["agent"].hardware == "A | B"


def test_overview_has_the_best_of_each_kind(make, tmp_path):
    tables = build_tables(
        [
            make("greedy", [12.0, 12.0]),
            make("slow", [13.0, 13.0]),
            make("search", [10.0, 10.0], kind="solver", reference=True),
            make("agent", [9.5, 10.9], learned=True),
            make("short", [1.0], kind="solver"),
            make("idle", [2.0, 2.0], instance="other"),
        ]
    )
    console = Console(width=120, file=io.StringIO())
    write_reports(tables, {}, tmp_path, console)
    line, other = (
        next(row for row in text.splitlines() if row.startswith(f"| {tables[0].env_id}, {name} |"))
        for text in [(tmp_path / "leaderboard.md").read_text()]
        for name in (tables[0].instance, "other")
    )
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == ["greedy 20.0 %", "**search** reference", "**agent** 2.0 %", "search"]
    assert other.endswith("| **idle** reference |  |  | idle |")
    assert "search reference" in console.file.getvalue()
    page = (tmp_path / "leaderboard.html").read_text()
    assert '<b>agent</b> <span class="ends">2.0 %</span>' in page


def test_a_whole_suite_is_written(tmp_path):
    suite = write_suite(
        tmp_path,
        fake("idle"),
        fake("first_item", seeds=[0, 1]),
        fake("Planner", sees_future=True, episodes=2),
        fake("Floor"),
    )
    records, table = run(suite, tmp_path)
    console = Console(record=True, width=140, quiet=True)
    write_reports([table], {}, tmp_path / "tiny", console)
    rows = {row.contestant: row for row in table.rows}
    assert rows["Planner"].sees_future
    assert rows["Planner"].episodes == 2
    assert rows["Planner"].objective == pytest.approx(np.mean(records[0].costs[:2]))
    dual = rows["Planner (dual bound)"]
    assert dual.objective == pytest.approx(rows["Planner"].objective - 1)
    assert rows["idle"].reference == "Floor"
    assert rows["first_item"].seeds == 2
    for end in ("csv", "md", "html"):
        assert "Planner" in (tmp_path / "tiny" / f"leaderboard.{end}").read_text()
