"""Laws of the data, and files."""

import numpy as np
import pytest

import or_envs
from or_envs.uam_fleet.instances import load, save
from or_envs.uam_fleet.problem import UAMFleet
from tests.uam_fleet.helpers import play_random


@pytest.fixture(scope="module")
def drawn():
    problem = UAMFleet()
    return problem, *or_envs.sample(problem, 0, 200)


def test_layouts(drawn):
    _, instance, _ = drawn
    apart = instance.distance + np.diag(np.full(8, np.inf))
    assert apart.min() > 5
    assert (instance.position >= 0).all()
    assert (instance.position <= 50).all()
    assert (instance.business.sum(axis=1) == 3).all()
    stops = instance.chargers == 0
    assert (stops.sum(axis=1) == 2).all()
    assert not (stops & instance.business).any()
    assert (instance.escape[~stops] == 0).all()
    nearest = np.where(stops[:, None, :], np.inf, instance.distance).min(axis=2)
    assert instance.escape[stops] == pytest.approx(2.2 * nearest[stops])
    counts = (instance.location[:, :, None] == np.arange(8)).sum(axis=1)
    assert (counts <= 8).all()


def test_layouts_can_be_fixed():
    problem = UAMFleet(layout_seed=3)
    instance, tape = or_envs.sample(problem, 0, 3)
    assert (instance.position == instance.position[:1]).all()
    assert (instance.demand == instance.demand[:1]).all()
    assert not (instance.location == instance.location[:1]).all()
    assert not (tape.arrivals == tape.arrivals[:1]).all()
    other, _ = or_envs.sample(UAMFleet(layout_seed=4), 0, 1)
    assert (other.position != instance.position[:1]).any()


def test_demand(drawn):
    problem, instance, tape = drawn
    came = np.concatenate([instance.waiting[:, None], tape.arrivals], axis=1)
    assert came.sum() == pytest.approx(instance.demand.sum(), rel=0.01)
    assert not np.diagonal(came, axis1=2, axis2=3).any()
    # Poisson: the variance is the mean.
    spread = (came - instance.demand) ** 2
    assert spread.sum() == pytest.approx(instance.demand.sum(), rel=0.03)
    expected = instance.demand.sum(axis=(1, 2, 3))
    assert 2400 < expected.mean() < 3000
    double = UAMFleet(load=2.4).sample_instances([np.random.default_rng(0)])
    single = UAMFleet(load=1.2).sample_instances([np.random.default_rng(0)])
    assert double.demand == pytest.approx(2 * single.demand)
    # The morning goes to work, the evening home.
    business = instance.business
    inward = (~business[:, :, None] & business[:, None, :])[:, None]
    by_bin = (instance.demand * inward).sum(axis=(0, 2, 3))
    back = (instance.demand * inward.swapaxes(2, 3)).sum(axis=(0, 2, 3))
    assert by_bin.argmax() in (9, 10)  # 08:15 to 08:45
    assert back.argmax() in (41, 42)
    assert problem.setting.num_bins == 48


def test_fares(drawn):
    _, instance, _ = drawn
    miles = instance.distance[:, None]
    off = ~np.eye(8, dtype=bool)[None, None]
    rate = np.where(off, (instance.fare - 5) / np.where(off, 1.5 * miles, 1), 1)
    assert rate.min() >= 1 - 1e-9
    assert rate.max() <= 2 + 1e-9
    assert (rate > 1.01).mean() > 0.1
    mean = (instance.demand * instance.fare).sum() / instance.demand.sum()
    assert 43 < mean < 51


def test_chance(drawn):
    _, instance, tape = drawn
    closed = np.concatenate([instance.closed[:, None], tape.closed], axis=1)
    off = ~np.eye(8, dtype=bool)
    assert closed[:, :, off].mean() == pytest.approx(0.025, rel=0.05)
    assert instance.closure.max() <= 0.05
    # Mean of max(0, min(30, N(U(0, 6), 6))), by quadrature.
    assert tape.delay.mean() == pytest.approx(4.274, rel=0.02)
    assert tape.delay.min() == 0
    assert tape.delay.max() <= 30
    assert tape.failure.mean() == pytest.approx(0.0025, rel=0.05)
    assert tape.failure.shape == (200, 40, 61)


def test_the_expected_value_of_the_clipped_delay():
    mean = (np.arange(2000) + 0.5) / 2000 * 6
    grid = np.linspace(-30, 60, 6001)
    density = np.exp(-0.5 * ((grid - mean[:, None]) / 6) ** 2) / (6 * np.sqrt(2 * np.pi))
    value = (np.clip(grid, 0, 30) * density).sum(axis=1) * (grid[1] - grid[0])
    assert value.mean() == pytest.approx(4.274, abs=5e-4)


def test_ref2022():
    problem = UAMFleet("ref2022")
    instance, tape = or_envs.sample(problem, 0, 100)
    assert set(np.unique(instance.waiting)) == set(range(100))
    assert instance.waiting.mean() == pytest.approx(49.5 * 56 / 64, rel=0.02)
    assert not tape.arrivals.any()
    assert (instance.fare == np.trunc(1.5 * instance.distance)[:, None]).all()
    assert instance.demand.shape == (100, 13, 8, 8)
    assert (instance.demand == np.trunc(instance.demand)).all()
    # The peaks hardly show on a base of 100: the published table is flat.
    assert instance.demand.max() == 104
    assert ((instance.location[:, :, None] == np.arange(8)).sum(axis=1) <= 6).all()
    total = (instance.demand * instance.fare).sum(axis=(1, 2, 3))
    assert 850_000 < total.mean() < 1_050_000


def test_paper2024():
    instance, tape = or_envs.sample(UAMFleet("paper2024"), 0, 20)
    came = instance.waiting.sum() + tape.arrivals.sum()
    assert came / 20 == pytest.approx(30_720, rel=0.01)
    assert (instance.fare[instance.fare > 0] >= 5 + 0.64 * 5).all()


def test_files(tmp_path):
    problem = UAMFleet("tiny", max_failure=0.5, max_closure=0.3)
    instance, tape = or_envs.sample(problem, 3, 4)
    path = tmp_path / "days.npz"
    save(path, instance, tape)
    again, tape_again = load(path)
    for a, b in ((instance, again), (tape, tape_again)):
        for name in a.names():
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            assert getattr(a, name).dtype == getattr(b, name).dtype
    one = play_random(problem, instance, tape)
    np.testing.assert_array_equal(one.rewards, play_random(problem, again, tape_again).rewards)


def test_damaged_files(tmp_path):
    path = tmp_path / "days.npz"
    path.write_bytes(b"not a file of numpy")
    with pytest.raises(ValueError, match="is no npz file of days"):
        load(path)
    with pytest.raises(ValueError, match="is no npz file of days"):
        load(tmp_path / "missing.npz")
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match=r"lacks instance\.position"):
        load(path)
    np.savez(path, **{"instance.position": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="is no npz file of days"):  # pickles are not read
        load(path)
    instance, tape = or_envs.sample(UAMFleet("tiny"), 3, 2)
    save(path, instance, tape)
    arrays = dict(np.load(path))
    arrays["tape.delay"] = arrays["tape.delay"][:, 1:]
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"delay has shape \(2, 11, 3\), expected \(2, 12, 3\)"):
        load(path)


def test_impossible_layouts():
    problem = UAMFleet(num_vertiports=30, min_separation=20.0)
    with pytest.raises(ValueError, match="min_separation: 30 vertiports"):
        or_envs.sample(problem, 0, 1)
