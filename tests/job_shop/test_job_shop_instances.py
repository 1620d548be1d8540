"""Published instances, the random law, and file readers."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import or_envs
from or_envs.core import generators
from or_envs.job_shop import files, taillard
from or_envs.job_shop.best_known import best_known
from or_envs.job_shop.instances import GROUPS, NAMES, JobShopInstance, load, uniform_instances

SHARED = Path(__file__).parents[3] / "shared" / "data" / "jsplib"

FT06 = """# Fisher and Thompson
 6 6
 2  1  0  3  1  6  3  7  5  3  4  6
 1  8  2  5  4 10  5 10  0 10  3  4
 2  5  3  4  5  8  0  9  1  1  4  7
 1  5  0  5  2  5  3  3  4  8  5  9
 2  9  1  3  4  5  5  4  0  3  3  1
 1  3  3  3  5  9  0 10  4  4  2  1
"""
#: The example of Taillard's site's form, with machines from 1.
TAILLARD = """Nb of jobs, Nb of Machines, Time seed, Machine seed, Upper bound, Lower bound
 2 3 1 2 10 9
Times
 4 5 6
 1 2 3
Machines
 3 1 2
 1 2 3
"""
#: Largest machine load or job length of TA01-80 (Taillard 1993, his lower bounds).
TAILLARD_BOUNDS = [
    *(977, 942, 921, 911, 940, 889, 935, 963, 982, 911),
    *(1139, 1251, 1178, 1130, 1148, 1181, 1257, 1153, 1202, 1186),
    *(1217, 1240, 1185, 1271, 1256, 1207, 1331, 1269, 1267, 1212),
    *(1764, 1774, 1729, 1828, 1729, 1777, 1771, 1673, 1641, 1602),
    *(1830, 1761, 1694, 1787, 1731, 1856, 1690, 1744, 1758, 1674),
    *(2760, 2756, 2717, 2797, 2679, 2781, 2943, 2885, 2655, 2723),
    *(2868, 2848, 2755, 2691, 2725, 2845, 2812, 2764, 3063, 2995),
    *(5464, 5181, 5552, 5339, 5392, 5342, 5436, 5394, 5358, 5183),
]


def trivial_bound(instance):
    machine, duration = instance.machine[0], instance.duration[0]
    loads = np.bincount(machine.ravel(), weights=duration.ravel())
    return int(max(loads.max(), duration.sum(axis=1).max()))


def same(a, b):
    for x, y in zip(a.leaves(), b.leaves(), strict=True):
        np.testing.assert_array_equal(x, y)


def test_every_name_is_an_instance_of_its_size():
    sizes = {
        "FT06": (6, 6), "FT20": (20, 5), "LA01": (10, 5), "LA06": (15, 5), "LA11": (20, 5),
        "LA16": (10, 10), "LA21": (15, 10), "LA26": (20, 10), "LA31": (30, 10), "LA36": (15, 15),
        "ABZ5": (10, 10), "ABZ9": (20, 15), "ORB10": (10, 10), "SWV01": (20, 10),
        "SWV06": (20, 15), "SWV20": (50, 10), "YN4": (20, 20), "TA01": (15, 15), "TA80": (100, 20),
    }  # fmt: skip
    for name in NAMES:
        instance = load(name)
        _, jobs, operations = instance.duration.shape
        assert (np.sort(instance.machine[0], axis=1) == np.arange(operations)).all()
        assert (instance.num_operations == operations).all()
        assert sizes.get(name, (jobs, operations)) == (jobs, operations)
    assert len(NAMES) == 162
    assert (load("ORB07").duration == 0).sum() == 1
    assert sum((load(name).duration == 0).sum() for name in NAMES) == 1


def test_data_have_not_changed():
    digest = hashlib.sha256()
    for name in NAMES:
        for leaf in load(name).leaves():
            digest.update(leaf.astype("<i8").tobytes())
    assert digest.hexdigest() == "cdda0963307ca07da62d4a000493ccc73688c3935f145a1eb6ce604248d2761c"


@pytest.mark.skipif(not SHARED.is_dir(), reason="reference data are not here")
def test_classic_instances_are_the_published_files():
    for name in NAMES[: -len(GROUPS["TA"])]:
        same(load(name), files.read(SHARED / f"{name.lower()}.txt"))


def test_taillards_instances_have_his_lower_bounds():
    bounds = [trivial_bound(load(name)) for name in GROUPS["TA"]]
    assert bounds == TAILLARD_BOUNDS


def test_taillards_first_instance():
    machine, duration = taillard.published(1)
    assert duration[0].tolist() == [94, 66, 10, 53, 26, 15, 65, 82, 10, 27, 93, 92, 96, 70, 83]
    assert machine[0].tolist() == [6, 12, 4, 7, 3, 2, 10, 11, 8, 14, 9, 13, 5, 0, 1]
    with pytest.raises(ValueError, match=r"number: expected an integer in \[1, 80\], got 81"):
        taillard.published(81)


def test_trivial_bounds_are_below_the_best_known_makespans():
    for name in NAMES:
        bound = trivial_bound(load(name))
        last = 0
        for blocking in ("none", "swap", "no_swap"):
            known = best_known(name, blocking)
            if known is not None:
                assert bound <= known.makespan
                assert known.bound is None or known.bound <= known.makespan
                assert last <= known.makespan
                last = known.makespan


def test_best_known():
    assert best_known("LA01", "swap").makespan == 793
    assert best_known("LA01", "swap").optimal
    assert not best_known("LA11", "swap").optimal
    assert best_known("FT10", "no_swap").bound is None
    assert best_known("TA71") is None
    with pytest.raises(ValueError, match="name: expected a published instance"):
        best_known("LA41")
    with pytest.raises(ValueError, match="blocking: expected 'none', 'swap' or 'no_swap'"):
        best_known("LA01", "maybe")


def test_random_law():
    instances = uniform_instances(generators(0, 3000), (2, 4), (3, 5))
    exists = instances.exists
    jobs = (instances.num_operations > 0).sum(axis=1)
    machines = instances.num_operations.max(axis=1)
    assert set(jobs) == {2, 3, 4}
    assert set(machines) == {3, 4, 5}
    durations = instances.duration[exists]
    assert (durations.min(), durations.max()) == (1, 99)
    assert abs(durations.mean() - 50) < 5 * 28.6 / np.sqrt(len(durations))
    for b in range(100):
        routes = instances.machine[b, : jobs[b], : machines[b]]
        assert (np.sort(routes, axis=1) == np.arange(machines[b])).all()
    first = instances.machine[machines == 5, 0, 0]
    counts = np.bincount(first, minlength=5)
    assert abs(counts / len(first) - 0.2).max() < 5 * np.sqrt(0.16 / len(first))


def test_padding():
    instance = JobShopInstance.of([[0, 1], [1]], [[5, 6], [7]])
    wide = instance.padded(4, 3)
    assert wide.duration.shape == (1, 4, 3)
    assert wide.exists.sum() == 3
    assert wide.num_operations.tolist() == [[2, 1, 0, 0]]
    with pytest.raises(ValueError, match="room for at least 2 jobs of 2 operations, got 1 and 9"):
        instance.padded(1, 9)


def test_jsplib_and_taillard_files(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(FT06)
    same(files.read(path), load("FT06"))
    path.write_text(TAILLARD)
    instance = files.read(path)
    assert instance.machine[0].tolist() == [[2, 0, 1], [0, 1, 2]]
    assert instance.duration[0].tolist() == [[4, 5, 6], [1, 2, 3]]
    path.write_text("\n".join(TAILLARD.splitlines()[1:]))  # without the line of names
    same(files.read(path), instance)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 0: expected a line 'jobs machines', got the end of the file"),
        ("# only\n", "expected a line 'jobs machines', got the end"),
        ("two 2\n", r"line 1: jobs: expected a whole number >= 1, got 'two'"),
        ("0 2\n", "line 1: jobs: expected a whole number >= 1, got 0"),
        ("1\n", "line 1: expected 'jobs machines', got '1'"),
        ("1 2 3\n0 1 1 1\n", "line 1: expected 'jobs machines', got '1 2 3'"),
        ("2 2\n0 3 1 2\n", "line 2: expected job 1, got the end of the file"),
        (
            "1 2\n\n# x\n0 3 1\n",
            "line 4: job 0: expected 2 pairs 'machine duration', got 3 numbers",
        ),
        ("1 2\n0 3 2 2\n", r"line 2: machine: expected a whole number in \[0, 1\], got 2"),
        ("1 2\n0 3 1 -2\n", "line 2: duration: expected a whole number >= 0, got -2"),
        ("1 2\n0 3 1 2.5\n", "line 2: duration: expected a whole number >= 0, got '2.5'"),
        ("1 2\n0 3 0 2\n", "line 2: job 0: machine 0 occurs twice"),
        ("1 1\n0 3\n0 4\n", "line 3: expected the end after 1 jobs, got '0 4'"),
        ("1 2\nTimes\n1 2\nMachines\n0 2\n", r"line 5: machine: .* in \[1, 2\], got 0"),
        ("1 2\nTimes\n1 2\nMachines\n2 2\n", "line 5: job 0: machine 2 occurs twice"),
        ("1 2\nTimes\n1\nMachines\n1 2\n", "line 3: Times: job 0: expected 2 numbers, got 1"),
        ("1 2\nTimes\n1 2\n1 2\n", "line 4: expected 'Machines', got '1 2'"),
    ],
)
def test_malformed_files_are_named(tmp_path, text, message):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        files.read(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_names_what_there_is():
    with pytest.raises(ValueError, match=r"instance: expected 'random', a name \(FT06-20, LA01-40"):
        load("LA41")


def test_a_range_of_a_group():
    both = load("FT10-20")
    assert both.duration.shape == (2, 20, 10)
    same(both.rows(np.array([0])), load("FT10").padded(20, 10))
    same(both.rows(np.array([1])), load("FT20").padded(20, 10))
    problem = or_envs.make_problem("or_envs/JobShop-v0", instance="FT10-20")
    drawn, _ = or_envs.sample(problem, 3, 3)
    same(drawn, both.rows(np.array([1, 0, 1])))
    assert load("LA01-40").num == 40
    for wrong in ("LA05-01", "LA01-41", "LA01-FT20"):
        with pytest.raises(ValueError, match="instance: expected 'random'"):
            load(wrong)
