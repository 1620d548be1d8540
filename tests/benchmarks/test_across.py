import numpy as np
import pytest

from benchmarks.across import compare
from benchmarks.leaderboard import build_tables

from .example import AGENTS, PROBLEMS, RULES, SEEDS, example


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return example(tmp_path_factory.mktemp("results"), PROBLEMS[:4])[1]


@pytest.fixture(scope="module")
def across(records):
    return compare(build_tables(records))


def test_contestants_meet_on_problems_that_all_have_played(across):
    everywhere, lot_sizing = across.groups
    # Agents are the same in every family; the rules of another family only share their names.
    assert {standing.contestant for standing in everywhere.standings} == set(AGENTS)
    assert len(everywhere.problems) == 4
    assert lot_sizing.title == "LotSizing-v0: 15x5, VI-A, VI-B"
    assert {standing.contestant for standing in lot_sizing.standings} == {*AGENTS, *RULES}
    runs = {standing.contestant: standing.runs for standing in lot_sizing.standings}
    assert runs["adp"] == 3 * SEEDS
    assert runs["greedy"] == 3


def test_gaps_are_pooled_over_runs_and_problems(across, records):
    (group,) = [group for group in across.groups if len(group.problems) == 3]
    (adp,) = [standing for standing in group.standings if standing.contestant == "adp"]
    gaps = []
    for _, instance, _ in PROBLEMS[:3]:
        here = [record for record in records if record.instance == instance]
        (bound,) = [np.mean(r.bounds) for r in here if r.bounds is not None]
        costs = [np.mean(r.costs) for r in here if r.contestant == "adp"]
        gaps += [100 * (cost - bound) / abs(bound) for cost in costs]
    middle = np.sort(gaps)[3:9]
    assert adp.gap.value == pytest.approx(middle.mean())
    assert adp.gap.low < adp.gap.value < adp.gap.high
    at = np.searchsorted(group.thresholds, np.sort(gaps)[5])
    assert adp.profile[at] == pytest.approx(6 / 12)
    assert adp.profile[-1] == 1
    assert group.thresholds[0] == 0
    values = [standing.gap.value for standing in group.standings]
    assert values == sorted(values)


def test_probability_of_improvement_of_all_pairs_of_agents(across):
    found = {(i.contestant, i.other): i for i in across.improvements}
    assert len(found) == len(AGENTS) * (len(AGENTS) - 1)
    one = found["adp", "ppo_mask"]
    assert one.problems == 4
    assert one.probability.value > 0.9
    turned = found["ppo_mask", "adp"].probability
    assert one.probability.value == pytest.approx(1 - turned.value)


def test_nothing_is_compared_where_nothing_can_be(records):
    alone = compare(build_tables([r for r in records if r.instance == "15x5" and r.seed == 0]))
    assert alone.groups == ()
    assert alone.improvements == ()


def test_what_is_not_ranked_is_not_compared(across):
    names = {standing.contestant for group in across.groups for standing in group.standings}
    assert not names & {"rolling_horizon", "perfect_information", "lagrangian", "rlpd"}
