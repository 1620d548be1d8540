"""Offline data: every form comes to the same transitions, bad ones are named."""

import json
import sys
import types

import numpy as np
import pytest

from agents.common.offline_data import (
    Episode,
    Transitions,
    load_transitions,
    read_episodes,
    write_episodes,
)


def episode(length=3, start=0.0, dicts=False, terminated=True):
    seen = start + np.arange(length + 1.0)[:, None]
    ends = np.arange(length) == length - 1
    return Episode(
        {"a": seen, "b": 10 * seen} if dicts else seen,
        np.full((length, 2), start),
        np.arange(length) + start,
        ends & terminated,
        ends & (not terminated),
    )


class Data:
    """As much of a Minari data set as is needed."""

    def __init__(self, *episodes):
        self.episodes = episodes

    def iterate_episodes(self):
        yield from self.episodes


FLAT = {
    "observations": np.array([[0.0], [1.0], [2.0]]),
    "actions": np.zeros((3, 2)),
    "rewards": np.arange(3.0),
    "next_observations": np.array([[1.0], [2.0], [3.0]]),
    "terminations": np.array([False, False, True]),
}


def same(a, b):
    for name in FLAT:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_every_form_is_the_same(tmp_path, monkeypatch):
    expected = Transitions(**FLAT)
    same(load_transitions(expected), expected)
    same(load_transitions({**FLAT, "truncations": np.zeros(3)}), expected)
    same(load_transitions(Data(episode())), expected)
    np.savez(tmp_path / "flat.npz", **FLAT)
    same(load_transitions(tmp_path / "flat.npz"), expected)
    write_episodes(tmp_path / "x.npz", [episode()], {"env_id": "me/X-v0"})
    same(load_transitions(str(tmp_path / "x.npz")), expected)
    minari = types.SimpleNamespace(load_dataset=lambda name: Data(episode()) if name == "x" else 1)
    monkeypatch.setitem(sys.modules, "minari", minari)
    same(load_transitions("minari:x"), expected)


def test_several_sources_are_put_together():
    data = load_transitions([FLAT, Data(episode(2, 5.0, terminated=False), episode(1, 9.0))])
    assert data.num == 6
    np.testing.assert_array_equal(data.rewards, [0, 1, 2, 5, 6, 9])
    np.testing.assert_array_equal(data.next_observations[:, 0], [1, 2, 3, 6, 7, 10])
    # What follows a truncation is bootstrapped.
    np.testing.assert_array_equal(data.terminations, [0, 0, 1, 0, 0, 1])


def test_the_layout_is_minaris(tmp_path):
    path = tmp_path / "folder" / "x.npz"
    write_episodes(path, [episode(3, dicts=True), episode(2, 5.0, dicts=True)], {"env_id": "X"})
    with np.load(path) as file:
        names = set(file.files)
        metadata = json.loads(str(file["metadata"]))
    fields = ("actions", "rewards", "terminations", "truncations", "observations/a")
    assert {f"episode_{k}/{field}" for k in (0, 1) for field in fields} < names
    assert metadata == {"env_id": "X", "total_episodes": 2, "total_steps": 5}
    (first, second), known = read_episodes(path)
    assert known == metadata
    assert len(first.observations["b"]) == 4
    np.testing.assert_array_equal(second.observations["b"][:, 0], [50, 60, 70])
    assert [p.name for p in path.parent.iterdir()] == ["x.npz"]
    data = load_transitions(path)
    np.testing.assert_array_equal(data.observations["a"][:, 0], [0, 1, 2, 5, 6])


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.npz"
    write_episodes(path, [episode()], {})

    def broken():
        yield episode()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_episodes(path, broken(), {})
    assert len(read_episodes(path)[0]) == 1


def test_bad_data(tmp_path):
    with pytest.raises(ValueError, match="next_observations is missing"):
        load_transitions({name: FLAT[name] for name in ("observations", "actions", "rewards")})
    with pytest.raises(ValueError, match="actions: expected 3 rows, as many as rewards, got 2"):
        load_transitions({**FLAT, "actions": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="rewards: expected finite"):
        load_transitions({**FLAT, "rewards": np.array([0, np.nan, 1])})
    with pytest.raises(ValueError, match="at least one transition"):
        load_transitions({name: array[:0] for name, array in FLAT.items()})
    with pytest.raises(ValueError, match="at least one episode"):
        load_transitions([])
    with pytest.raises(ValueError, match=r"expected the path of an npz file.* got int"):
        load_transitions(7)
    with pytest.raises(FileNotFoundError):
        load_transitions(tmp_path / "gone.npz")
    (tmp_path / "text.npz").write_text("x")
    with pytest.raises(ValueError, match="expected an npz file"):
        load_transitions(tmp_path / "text.npz")
    np.savez(tmp_path / "flat.npz", **FLAT)
    with pytest.raises(ValueError, match="no episodes in Minari's layout"):
        read_episodes(tmp_path / "flat.npz")


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", **{**FLAT, "rewards": np.array([{}, 1, 2], dtype=object)})
    with pytest.raises(ValueError, match="expected an npz file"):
        load_transitions(tmp_path / "x.npz")


def test_missing_minari(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs Minari: pip install 'minari\[hdf5\]'"):
        load_transitions("minari:D4RL/door/expert-v2")
