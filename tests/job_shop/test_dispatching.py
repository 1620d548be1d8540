"""Rules: pinned makespans, variants, and that compiled episodes are those of the environment."""

import numpy as np
import pytest

import or_envs
from or_envs.core import simulate
from or_envs.job_shop.dispatching import RULES, Dispatching, decide, play, priorities
from or_envs.job_shop.instances import GROUPS, load
from or_envs.job_shop.problem import JobShop
from tests.job_shop.helpers import BLOCKING, MODELS, hand, problem_of, row

#: Makespans of single passes, ties by number of the job [spec 11.2].
PINNED = """
swap SPT FT06 79, LA01 1175, LA02 1098, LA03 968, LA04 1035, LA05 1098, LA16 1818, TA01 2828
swap MTWR FT06 75, LA01 1142, LA02 1097, LA03 1096, LA04 1041, LA05 989
swap FIFO FT06 75, LA01 1130, LA02 1042, LA03 1010, LA04 1006, LA05 1021
none SPT LA01 751, LA02 821, TA01 1462
none MTWR LA01 735, TA01 1491
none FIFO LA01 772
none MOR TA01 1438
none FDD/MWKR TA01 1433
"""
#: Means of groups in mode "swap" [spec 4.3]; SQNO, LQNO read queues, ORB has a length of 0.
ROWS = {
    "ORB": (
        *(1505.4, 1520.0, 1571.2, 1524.9, 1503.0, 1510.1, 1462.5),
        *(1528.2, 1568.2, 1539.5, 1562.1, 1501.8),
    ),
    "YN": (
        *(2317.2, 2422.8, 2334.0, 2409.8, 2335.0, 2372.8, 2323.2),
        *(2537.8, 2455.0, 2412.8, 2295.8, 2274.8),
    ),
}
ORDER = "SPT LPT MTWR LTWR FIFO MOR LOR SQNO LQNO STT LTT FDD/MWKR"


def makespan(name, blocking, dispatching):
    problem = JobShop(name, blocking=blocking)
    instance, _ = or_envs.sample(problem, 0, 1)
    return int(play(problem, instance, None, dispatching).makespan[0])


@pytest.mark.parametrize("line", PINNED.strip().splitlines())
def test_pinned_makespans(line):
    blocking, rule, rest = line.split(maxsplit=2)
    expected = dict(pair.split() for pair in rest.split(", "))
    found = {name: str(makespan(name, blocking, Dispatching(rule))) for name in expected}
    assert found == expected


@pytest.mark.parametrize("group", ROWS)
def test_means_of_groups(group):
    names = GROUPS[group]
    means = [
        np.mean([makespan(n, "swap", Dispatching(rule)) for n in names]) for rule in ORDER.split()
    ]
    np.testing.assert_allclose(means, ROWS[group], atol=0.051)


def test_variants_on_published_groups():
    names = GROUPS["LA"][:5]
    blocked = [makespan(n, "swap", Dispatching("MTWR", blocked_first=True)) for n in names]
    assert np.mean(blocked) == pytest.approx(1058.6)
    capped = [makespan(n, "swap", Dispatching("MTWR", True, cap=4)) for n in names]
    assert np.mean(capped) == pytest.approx(990.0)
    names = GROUPS["LA"][15:20]
    capped = [makespan(n, "swap", Dispatching("MTWR", True, cap=7)) for n in names]
    assert np.mean(capped) == pytest.approx(1497.2)


def by_hand(problem, instance, rule):
    """SPT, MTWR and FIFO written out once more, on the environment's own functions."""
    duration = instance.duration

    def value(state, b, j):
        k = state.operation[b, j]
        if rule == "SPT":
            return duration[b, j, k]
        if rule == "MTWR":
            return -duration[b, j, k : instance.num_operations[b, j]].sum()
        return state.ready[b, j]

    def decision(instance, state):
        mask = problem.action_mask(instance, state)
        actions = np.zeros(len(mask), dtype=np.int64)
        for b in range(len(mask)):
            jobs = np.flatnonzero(mask[b, :-1])
            if len(jobs):
                actions[b] = min(
                    jobs,
                    key=lambda j: (
                        instance.machine[b, j, state.operation[b, j]],
                        value(state, b, j),
                        j,
                    ),
                )
        return actions

    return decision


@pytest.mark.parametrize("rule", ["SPT", "MTWR", "FIFO"])
@pytest.mark.parametrize("blocking", ["none", "swap"])
def test_rules_written_out_once_more(rule, blocking):
    problem = JobShop(num_jobs=(2, 6), num_machines=(2, 5), blocking=blocking, allow_wait=False)
    instance, _ = or_envs.sample(problem, 0, 40)
    compiled = play(problem, instance, None, Dispatching(rule)).makespan
    written = simulate(problem, by_hand(problem, instance, rule), instance)
    np.testing.assert_array_equal(compiled, -written.total_reward)


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.parametrize("model", [None, *MODELS])
def test_compiled_episodes_are_those_of_the_environment(blocking, model):
    problem = JobShop(
        num_jobs=(2, 6),
        num_machines=(2, 5),
        blocking=blocking,
        shutdown=model or "hazard",
        p_down=0.0 if model is None else 0.2,
    )
    instance, luck = or_envs.sample(problem, 1, 12)
    values = np.random.default_rng(0).random(instance.duration.shape)
    seeds = np.arange(12)
    for dispatching in (
        *(Dispatching(rule) for rule in RULES),
        Dispatching("GIVEN", reserve=True),
        Dispatching("SPT", blocked_first=True, cap=2),
        Dispatching("RANDOM", cap=3),
    ):
        extra = {"values": values} if dispatching.rule == "GIVEN" else {}
        drawn = {**extra, "seeds": seeds} if dispatching.rule == "RANDOM" else extra
        played = play(problem, instance, luck, dispatching, record=True, **drawn)
        replayed = simulate(problem, played.actions, instance, luck)
        np.testing.assert_array_equal(replayed.num_steps, played.num_actions)
        np.testing.assert_array_equal(replayed.state.start, played.state.start)
        np.testing.assert_array_equal(replayed.state.deadlock, played.state.deadlock)
        fine = ~played.state.deadlock
        np.testing.assert_array_equal(-replayed.total_reward[fine], played.makespan[fine])
        assert dispatching.waits or not (played.actions == problem.num_jobs).any()
        if dispatching.rule != "RANDOM":

            def rule(instance, state, dispatching=dispatching, extra=extra):
                return decide(problem, instance, state, dispatching, **extra)

            stepped = simulate(problem, rule, instance, luck)
            np.testing.assert_array_equal(stepped.total_reward, replayed.total_reward)


def test_episodes_go_on_from_the_middle():
    problem = JobShop(num_jobs=5, num_machines=4, blocking="swap", p_down=0.3)
    instance, luck = or_envs.sample(problem, 2, 8)
    whole = play(problem, instance, luck, Dispatching("LTT"))
    state = problem.initial(instance)
    for _ in range(4):
        before = state.map(np.copy)
        rest = play(problem, instance, luck, Dispatching("LTT"), state=state)
        np.testing.assert_equal(state.leaves(), before.leaves())  # it is not played on in place
        np.testing.assert_array_equal(rest.makespan, whole.makespan)
        action = decide(problem, instance, state, Dispatching("LTT"))
        post, _ = problem.post_decision(instance, state, action)
        state, _, _ = problem.transition(instance, post, luck)


def test_random_rule_is_uniform_and_reproducible():
    problem = JobShop(num_jobs=3, num_machines=2, blocking="swap")
    instance, _ = or_envs.sample(problem, 0, 1)
    one_machine = type(instance)(
        np.zeros((1, 3, 2), dtype=np.int64), instance.duration, np.ones((1, 3), dtype=np.int64)
    )
    many = one_machine.repeat(3000)
    seeds = np.arange(3000)
    state = problem.initial(many)
    first = decide(problem, many, state, Dispatching("RANDOM"), seeds=seeds)
    counts = np.bincount(first, minlength=3)
    assert counts.sum() == 3000
    assert abs(counts - 1000).max() < 5 * np.sqrt(3000 * 2 / 9)
    again = decide(problem, many, state, Dispatching("RANDOM"), seeds=seeds)
    np.testing.assert_array_equal(first, again)


def test_random_rule_has_the_published_mean():
    """LA01-05, 100 seeds each: mean 1055.4, best of 100 864.0 [spec 4.3]."""
    means, bests = [], []
    for name in GROUPS["LA"][:5]:
        problem = JobShop(name, blocking="swap")
        instance, _ = or_envs.sample(problem, 0, 2000)
        found = play(problem, instance, None, Dispatching("RANDOM"), seeds=np.arange(2000)).makespan
        means.append(found.mean())
        bests.append(found.reshape(20, 100).min(axis=1).mean())
    assert abs(np.mean(means) - 1055.4) < 6
    assert abs(np.mean(bests) - 864.0) < 15


def test_reservations_reach_what_no_rule_without_waiting_does():
    instance = hand("T5")
    problem = problem_of(instance, blocking="swap")
    values = np.random.default_rng(0).random((300, *instance.duration.shape[1:]))
    many = instance.repeat(300)
    free = play(problem, many, None, Dispatching("GIVEN"), values=values).makespan
    reserved = play(problem, many, None, Dispatching("GIVEN", reserve=True), values=values).makespan
    assert (free == 10).all()
    assert reserved.min() == 8


def test_tables_of_priorities():
    instance = load("FT06")
    values = {rule: priorities(rule, instance)[0, 0] for rule in RULES[:9]}
    assert values["SPT"].tolist() == [1, 3, 6, 7, 3, 6]
    assert (values["LPT"] == -values["SPT"]).all()
    assert values["LTWR"].tolist() == [26, 25, 22, 16, 9, 6]
    assert (values["MTWR"] == -values["LTWR"]).all()
    assert values["LOR"].tolist() == [6, 5, 4, 3, 2, 1]
    assert (values["MOR"] == -values["LOR"]).all()
    assert (values["STT"] == 26).all()
    assert (values["LTT"] == -26).all()
    np.testing.assert_allclose(
        values["FDD/MWKR"], np.array([1, 4, 10, 17, 20, 26]) / values["LTWR"]
    )
    with pytest.raises(ValueError, match="'FIFO' has no table of priorities"):
        priorities("FIFO", instance)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="rule: expected one of SPT, LPT"):
        Dispatching("EDD")
    with pytest.raises(ValueError, match="cap: expected an integer >= 1 or None, got 0"):
        Dispatching("SPT", cap=0)
    with pytest.raises(ValueError, match="reserve: expected False with rule FIFO"):
        Dispatching("FIFO", reserve=True)
    problem = JobShop(num_jobs=3, num_machines=2, allow_wait=False)
    instance, _ = or_envs.sample(problem, 0, 2)
    with pytest.raises(ValueError, match="need a problem with allow_wait=True"):
        play(problem, instance, None, Dispatching("SPT", cap=2))
    with pytest.raises(ValueError, match=r"values: expected shape \(2, 3, 2\) or .*, got None"):
        play(problem, instance, None, Dispatching("GIVEN"))
    with pytest.raises(ValueError, match=r"seeds: expected shape \(2,\), got \(0,\)"):
        play(problem, row(instance, 0).repeat(2), None, Dispatching("RANDOM"))
