"""Features that say what comes after the next leg, worked out by hand."""

import numpy as np
import pytest

from or_envs.uam_fleet.observations import SERIES_FEATURES, VERTIPORT_FEATURES
from tests.uam_fleet.helpers import Walk, day, fleet

NEXT = VERTIPORT_FEATURES.index("next profit")
POTENTIAL = SERIES_FEATURES.index("potential")
both = pytest.mark.parametrize("compiled", [False, True])


def seen(walk):
    return walk.problem.observation(walk.instance, walk.state)


def walk_of(problem, passengers, compiled, **changes):
    instance, tape = day(problem, passengers, **changes)
    return Walk(problem.compiled() if compiled else problem, instance, tape)


@both
def test_profit_of_the_leg_after_the_next(compiled):
    """20 miles cost 21.60 and fill 45.7 minutes: an aircraft that leaves at 0 is back in bin 3."""
    walk = walk_of(fleet(), {(0, 0, 1): 3, (2, 1, 0): 1, (3, 1, 0): 1, (4, 1, 0): 9}, compiled)
    found = seen(walk)["vertiports"][0, :, NEXT]
    # At 1 in bin 3 those of bins 2 and 3 are expected; those of bin 4 come too late. Staying takes
    # until bin 1, when those who wait now are still there.
    assert found[1] == pytest.approx((2 * 35 - 21.6) / 100)
    assert found[0] == pytest.approx((3 * 35 - 21.6) / 100)


@both
def test_who_loses_patience_is_not_waited_for(compiled):
    walk = walk_of(fleet(stay=30.0), {(0, 0, 1): 3, (2, 0, 1): 4}, compiled)
    assert seen(walk)["vertiports"][0, 0, NEXT] == pytest.approx((4 * 35 - 21.6) / 100)
    walk = walk_of(fleet(stay=30.0), {(0, 0, 1): 3}, compiled)
    assert seen(walk)["vertiports"][0, 0, NEXT] == 0


@both
def test_where_nobody_loses_patience_the_queue_counts(compiled):
    walk = walk_of(fleet(patience=None), {(0, 1, 0): 2, (1, 1, 0): 1, (4, 1, 0): 5}, compiled)
    assert seen(walk)["vertiports"][0, 1, NEXT] == pytest.approx((3 * 35 - 21.6) / 100)


@both
def test_nothing_follows_after_closing(compiled):
    walk = walk_of(fleet(day=60), {(3, 1, 0): 4, (3, 0, 1): 4}, compiled)
    assert seen(walk)["vertiports"][0, 1, NEXT] > 0
    walk.step(0)
    found = seen(walk)["vertiports"][0, :, NEXT]
    assert found[1] == 0  # 15 + 45.7 minutes
    assert found[0] == pytest.approx(0.0)  # those of bin 3 are not there at 30 minutes
    walk.step(0)
    assert seen(walk)["vertiports"][0, 0, NEXT] == pytest.approx((4 * 35 - 21.6) / 100)


@both
def test_potential_is_that_of_full_flights(compiled):
    walk = walk_of(fleet(), {(1, 0, 1): 6, (2, 1, 0): 2}, compiled)
    potential = seen(walk)["series"][0, :, :, POTENTIAL]
    margin = 35 - 21.6 / 4
    assert potential[0] == pytest.approx([6 * margin / 500, 0])
    assert potential[1] == pytest.approx([0, 2 * margin / 500])
    assert not potential[2:].any()
    dear = walk_of(fleet(mile_cost=10.0), {(1, 0, 1): 6}, compiled)
    assert not np.any(seen(dear)["series"][0, :, :, POTENTIAL])
