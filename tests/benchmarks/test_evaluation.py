"""How long a decision takes."""

import numpy as np
import pytest

import or_envs
from benchmarks import evaluation


@pytest.mark.parametrize(("num", "first_call"), [(1, 500.0), (2, 0.0), (5, 0.0)])
def test_plans_at_the_start_count_and_compilation_does_not(num, first_call, monkeypatch):
    clock, calls = [0.0], []

    def rule(instance, state):
        calls.append(instance.num)
        clock[0] += 500.0 * (len(calls) == 1)  # compiles
        clock[0] += 30.0 * (state.remaining.sum(axis=1).max() == 5)  # plans
        clock[0] += 2.0
        return np.argmax(state.remaining, axis=1)

    monkeypatch.setattr(evaluation.time, "perf_counter", lambda: clock[0])
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=6)
    instance, _ = or_envs.sample(problem, 0, num)
    found = evaluation.evaluate(problem, rule, instance)
    assert found.decision_ms == pytest.approx(1000 * (2 + (30 + first_call) / 5))
    assert calls == ([1] * 5 * min(num, 2) + [num - 2] * 5 * (num > 2))
    assert found.costs is not None
    alone = -or_envs.simulate(problem, rule, instance).total_reward
    np.testing.assert_allclose(found.costs, alone)
