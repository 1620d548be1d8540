import dataclasses
import re

import pytest
from rich.console import Console

from benchmarks.across import compare
from benchmarks.backgrounds import gather
from benchmarks.config import ContestantConfig, load_suite
from benchmarks.contestants import is_learned
from benchmarks.episode_pictures import draw_episodes
from benchmarks.errors import UserError
from benchmarks.leaderboard import build_tables
from benchmarks.page import to_html

from .example import AGENTS, PROBLEMS, RULES, SEEDS, example
from .helpers import fake, run, write_suite


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    suite, records = example(folder, PROBLEMS[:2])
    tables = build_tables(records)
    backgrounds = gather(suite, tables, folder, 0, Console(quiet=True))
    return tables, backgrounds, to_html(tables, compare(tables), backgrounds)


def test_the_page_is_self_contained_and_escaped(made):
    page = made[2]
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|xlink:href=\"[^#]", page)
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(1)" in page
    assert 'name="viewport"' in page
    ids = re.findall(r'\sid="([^"]+)"', re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL))
    assert len(ids) == len(set(ids))


def test_what_is_not_ranked_stands_apart(made):
    page = made[2]
    table = page[page.index('<table class="board">') :]
    table = table[: table.index("</table>")]
    ranked, *others = table.split('<tr class="group">')
    for name in (*AGENTS, *RULES):
        assert f">{name.replace('_', '_<wbr>')}</button>" in ranked
    titles = [re.search(r'rowgroup">([^<]*)', part).group(1) for part in others]
    assert titles == [
        "Fewer episodes, not ranked",
        "Perfect information, not ranked",
        "Lower bounds, not ranked",
        "Failed",
    ]
    for name, part in zip(("rolling", "perfect", "lagrangian", "rlpd"), others, strict=True):
        assert f"{name}" in part
        assert 'class="rank" data-value=""' in part


def test_panels_carry_settings_curves_and_provenance(made):
    tables, backgrounds, page = made
    background = backgrounds["or_envs/LotSizing-v0", "15x5", "adp"]
    assert list(background.curves) == [f"seed {seed}" for seed in range(SEEDS)]
    assert max(map(len, background.curves.values())) <= 150
    assert background.settings["n_timesteps"] > 0
    place = [row.contestant for row in tables[0].rows].index("adp")
    panel = page[page.index(f'id="problem-0-{place}"') :]
    panel = panel[: panel.index("<div popover", 10)]
    for text in ("Training", "n_timesteps", "Example CPU", "torch 2.13.0", "<svg", "seed"):
        assert text in panel


def test_a_damaged_curve_is_named(tmp_path):
    suite, records = example(tmp_path, PROBLEMS[:1])
    path = next(tmp_path.glob("training/*/curve.csv"))
    path.write_text("timesteps,episodes,mean_cost,seconds\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"curve\.csv: damaged"):
        gather(suite, build_tables(records), tmp_path, 0, Console(quiet=True))


def test_an_episode_of_the_best_is_drawn_once(tmp_path):
    path = write_suite(tmp_path, fake("idle"), fake("first_item"), fake("raising"))
    records, table = run(path, tmp_path)
    (problem,) = load_suite(str(path)).problems
    arguments = (problem, tmp_path / "tiny")
    best = table.ranking[0].contestant
    found = draw_episodes(table, *arguments, 1, Console(quiet=True))
    assert list(found) == [best]
    assert found[best].content.startswith(b"GIF8")
    (record,) = [record for record in records if record.contestant == best]
    assert found[best].cost == record.costs[0]
    (file,) = (tmp_path / "tiny" / "episodes").iterdir()
    file.write_bytes(b"kept")
    assert draw_episodes(table, *arguments, 1, Console(quiet=True))[best].content == b"kept"
    assert len(draw_episodes(table, *arguments, 5, Console(quiet=True))) == 2
    assert draw_episodes(table, *arguments, 0, Console(quiet=True)) == {}


def test_a_picture_that_fails_does_not_cost_the_page(tmp_path):
    gate = tmp_path / "gate"
    gate.touch()
    path = write_suite(tmp_path, fake("good_after", settings={"path": str(gate)}), fake("idle"))
    _, table = run(path, tmp_path)
    gate.unlink()
    (problem,) = load_suite(str(path)).problems
    console = Console(record=True, quiet=False, width=200, file=open(tmp_path / "log", "w"))  # noqa: SIM115
    found = draw_episodes(table, problem, tmp_path / "tiny", 2, console)
    assert list(found) == ["idle"]
    assert "no picture of good_after: not yet" in console.export_text()


def test_an_agent_trained_before_shows_its_training(tmp_path):
    """It counts as learned, and its settings and curve are those of its folder."""
    suite, records = example(tmp_path, PROBLEMS[:1])
    (problem,) = suite.problems
    name = "adp-LotSizing-15x5"
    trained = ContestantConfig("benchmarks.players:trained", "index_policy", {"name": name})
    contestants = tuple(c for c in problem.contestants if c.label != trained.label)
    problem = dataclasses.replace(problem, contestants=(*contestants, trained))
    suite = dataclasses.replace(suite, problems=(problem,))
    found = gather(suite, build_tables(records), tmp_path, 0, Console(quiet=True))
    background = found["or_envs/LotSizing-v0", "15x5", "index_policy"]
    assert is_learned(trained.name)
    assert background.settings["n_timesteps"] == 1_000_000
    assert list(background.curves) == ["seed 0"]
