import pytest

import or_envs
from benchmarks import torch_throughput
from benchmarks.throughput import measure, replayed, simulated, single, vector

CASES = [
    ("or_envs/LotSizing-v0", {"instance": "VI-A"}, 100),
    ("or_envs/TSP-v0", {"num_cities": 6}, 5),
]


@pytest.mark.parametrize(("env_id", "env_kwargs", "steps"), CASES)
def test_work_counts_its_steps_and_can_be_repeated(env_id, env_kwargs, steps):
    for draw in (False, True):
        work = single(env_id, env_kwargs, draw)
        assert [work(), work()] == [steps, steps]
        work = vector(env_id, env_kwargs, 3, draw)
        assert [work(), work()] == [3 * steps, 3 * steps]
    for on_torch in (False, True):
        assert simulated(env_id, env_kwargs, 3, on_torch)() == 3 * steps


def test_measure_divides_steps_by_time():
    import time

    def work():
        time.sleep(0.01)
        return 10

    found = measure("name", "step", work, seconds=0.05)
    assert 300 < found.steps_per_second <= 1000
    # Sleeping takes no processor time: the same figures as on a busy machine.
    assert found.busy


def test_days_of_different_lengths_are_counted():
    env_id, env_kwargs = "or_envs/UAMFleet-v0", {"preset": "tiny"}
    problem = or_envs.make_problem(env_id, **env_kwargs)
    work = simulated(env_id, env_kwargs, 3, False)
    assert 3 < work() == work() < 3 * problem.max_steps
    assert replayed(env_id, env_kwargs, 3, 50)() == 150


def test_torch_plays_whole_episodes(capsys):
    torch_throughput.main(["--env-kwargs", "preset:tiny", "--num", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(float(line.rpartition(",")[2]) > 0 for line in lines[1:])
