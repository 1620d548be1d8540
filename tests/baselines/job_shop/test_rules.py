"""Dispatching rules against published and pinned makespans."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.registration import make
from or_envs.core import sample, simulate
from or_envs.job_shop.problem import JobShop
from tests.baselines.job_shop.cases import HAND_CASES, hand_case, problem_of

GROUPS = {
    "FT06": ["FT06"],
    "FT10": ["FT10"],
    "LA01-05": [f"LA{i:02d}" for i in range(1, 6)],
    "LA16-20": [f"LA{i:02d}" for i in range(16, 21)],
    "LA36-40": [f"LA{i:02d}" for i in range(36, 41)],
    "TA01-10": [f"TA{i:02d}" for i in range(1, 11)],
}
RULES = (
    *("spt", "lpt", "mtwr", "ltwr", "fifo", "mor", "lor", "sqno", "lqno", "stt", "ltt"),
    "fdd_mwkr",
)

#: Mean makespans with swaps; the last column is MTWR with blocked jobs first.
WITH_SWAPS = {
    "FT06": (79, 81, 75, 82, 75, 75, 77, 91, 82, 80, 75, 73, 72),
    "FT10": (1340, 1881, 1796, 1659, 1780, 1831, 1536, 1530, 1777, 1512, 1586, 1513, 1634),
    "LA01-05": (
        *(1074.8, 1031.2, 1073.0, 1080.0, 1041.8, 1052.6, 1070.0, 1079.6, 1049.0, 1035.2, 1061.0),
        *(1023.4, 1058.6),
    ),
    "LA16-20": (
        *(1544.2, 1564.4, 1566.6, 1626.4, 1501.6, 1552.4, 1589.8, 1540.6, 1441.0, 1556.4, 1577.8),
        *(1530.6, 1449.6),
    ),
    "LA36-40": (
        *(2729.2, 2751.6, 2774.2, 2757.8, 2676.6, 2861.0, 2846.0, 2789.8, 2921.4, 2982.4, 2598.8),
        *(2732.8, 2692.4),
    ),
    "TA01-10": (
        *(2762.2, 2847.8, 2764.4, 2869.0, 2739.1, 2800.8, 2810.8, 2827.2, 2837.9, 2898.7, 2875.5),
        *(2831.3, 2780.0),
    ),
}

#: Mean makespans without blocking: SPT, MTWR, FIFO, MOR, FDD/MWKR.
CLASSIC = {
    "LA01-05": (713.0, 719.8, 732.4, 720.0, 703.0),
    "LA16-20": (1000.2, 969.4, 1085.4, 1022.4, 993.6),
    "TA01-10": (1546.1, 1464.3, 1522.8, 1481.3, 1447.0),
}


def cost(name: str, rule: str, blocking: str = "swap", **settings) -> float:
    problem = JobShop(name, blocking=blocking)
    instance, _ = sample(problem, 0, 1)
    rollout = simulate(problem, make(f"job_shop/{rule}", problem, 0, **settings), instance)
    return -float(rollout.total_reward[0])


def mean(group: str, rule: str, blocking: str = "swap", **settings) -> float:
    return float(np.mean([cost(name, rule, blocking, **settings) for name in GROUPS[group]]))


@pytest.mark.parametrize("group", GROUPS)
def test_means_with_swaps(group: str) -> None:
    expected = WITH_SWAPS[group]
    for rule, value in zip(RULES, expected[:-1], strict=True):
        assert mean(group, rule) == pytest.approx(value, abs=0.06), rule
    assert mean(group, "mtwr", blocked_first=True) == pytest.approx(expected[-1], abs=0.06)


@pytest.mark.parametrize("group", CLASSIC)
def test_means_without_blocking(group: str) -> None:
    for rule, value in zip(("spt", "mtwr", "fifo", "mor", "fdd_mwkr"), CLASSIC[group], strict=True):
        assert mean(group, rule, "none") == pytest.approx(value, abs=0.06), rule


@pytest.mark.parametrize(
    ("rule", "blocking", "values"),
    [
        ("spt", "swap", (79, 1175, 1098, 968, 1035, 1098, 1818, 2828)),
        ("mtwr", "swap", (75, 1142, 1097, 1096, 1041, 989)),
        ("fifo", "swap", (75, 1130, 1042, 1010, 1006, 1021)),
        ("spt", "none", (None, 751, 821)),
        ("mtwr", "none", (None, 735)),
        ("fifo", "none", (None, 772)),
    ],
)
def test_pinned_makespans(rule: str, blocking: str, values: tuple[int | None, ...]) -> None:
    names = ("FT06", "LA01", "LA02", "LA03", "LA04", "LA05", "LA16", "TA01")
    for name, value in zip(names, values, strict=False):
        assert value is None or cost(name, rule, blocking) == value


def test_caps_on_occupied_machines() -> None:
    """The share 0.7 of 5, 10 and 15 machines is 4, 7 and 10."""
    settings = {"blocked_first": True, "cap": 0.7}
    for group, value in (("LA01-05", 990), ("LA16-20", 1497), ("LA36-40", 2598), ("FT10", 1576)):
        assert mean(group, "mtwr", **settings) == pytest.approx(value, abs=0.5)


@pytest.mark.parametrize("rule", [*RULES, "lifo", "random_dispatching"])
def test_rules_without_waiting_have_no_choice_in_hand_cases(rule: str) -> None:
    for name, best in (("T1", 7), ("T2", 5), ("T3", 14), ("T4", 12)):
        instance = hand_case(name)
        problem = problem_of(instance, allow_wait=False)
        rollout = simulate(problem, make(f"job_shop/{rule}", problem), instance)
        assert -rollout.total_reward[0] == best == HAND_CASES[name][1][1]


def test_random_dispatching_is_seeded_and_has_the_mean_of_the_table() -> None:
    problem = JobShop("LA01", blocking="swap")
    instance, _ = sample(problem, 0, 300)

    def costs(seed: int) -> np.ndarray:
        rule = make("job_shop/random_dispatching", problem, seed)
        return -simulate(problem, rule, instance).total_reward

    assert np.array_equal(costs(1), costs(1))
    assert not np.array_equal(costs(1), costs(2))
    assert costs(1).mean() == pytest.approx(1175, rel=0.03)


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        ({}, {"cap": 0.0}, r"cap: expected a number in \(0, 1\], got 0.0"),
        ({"allow_wait": False}, {"cap": 0.5}, "cap: expected None where allow_wait is False"),
    ],
)
def test_wrong_arguments_are_refused(settings, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        make("job_shop/spt", JobShop(**settings), 0, **arguments)
