from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from baselines.common.milp import HighsSession, import_pyomo

pyo = import_pyomo()


def knapsack(weights: np.ndarray) -> object:
    """Five constraints, every price a mutable parameter; maximise by minimising."""
    model = pyo.ConcreteModel()
    size = weights.shape[1]
    model.I = pyo.RangeSet(0, size - 1)
    model.price = pyo.Param(model.I, mutable=True, initialize=1.0)
    model.x = pyo.Var(model.I, domain=pyo.Binary)

    @model.Constraint(range(len(weights)))
    def capacity(b, j):
        return sum(int(weights[j, i]) * b.x[i] for i in b.I) <= int(weights[j].sum()) // 2

    model.cost = pyo.Objective(expr=-sum(model.price[i] * model.x[i] for i in model.I))
    return model


def brute_force(weights: np.ndarray, price: np.ndarray) -> float:
    size = weights.shape[1]
    plans = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
    fits = (plans @ weights.T <= weights.sum(axis=1) // 2).all(axis=1)
    return -(plans @ price)[fits].max()


def test_one_session_solves_again_when_data_change() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 50, (2, 10))
    model = knapsack(weights)
    session = HighsSession(model)
    for _ in range(5):
        price = rng.integers(1, 50, 10)
        model.price.store_values(dict(enumerate(price.tolist())))
        result = session.solve()
        assert result.status == "optimal"
        assert result.objective == pytest.approx(brute_force(weights, price), abs=1e-9)
        assert result.bound == pytest.approx(result.objective)
        chosen = [model.x[i].value for i in model.I]
        assert -np.dot(chosen, price) == pytest.approx(result.objective)


def test_fixed_variables_are_kept_and_freed_again() -> None:
    model = knapsack(np.array([[1, 1, 1, 1]]))  # two of four
    session = HighsSession(model)
    model.price.store_values({0: 5.0, 1: 4.0, 2: 2.0, 3: 1.0})
    assert session.solve().objective == pytest.approx(-9)
    model.x[3].fix(1)
    assert session.solve().objective == pytest.approx(-6)
    model.x.unfix()
    assert session.solve().objective == pytest.approx(-9)


def test_the_time_limit_returns_incumbent_and_bound() -> None:
    rng = np.random.default_rng(1)
    size = 200
    model = knapsack(rng.integers(10, 100, (20, size)))
    price = rng.integers(10, 100, size)
    model.price.store_values(dict(enumerate(price.tolist())))
    session = HighsSession(model)
    result = session.solve(time_limit=1.0)
    assert result.status == "time_limit"
    assert result.bound is not None
    assert -price.sum() <= result.bound < result.objective < 0
    assert result.seconds < 10
    assert -np.dot([model.x[i].value for i in model.I], price) == pytest.approx(result.objective)


def test_nothing_found_in_time_is_a_status() -> None:
    rng = np.random.default_rng(1)
    model = knapsack(rng.integers(10, 100, (20, 200)))
    result = HighsSession(model).solve(time_limit=0.0)
    assert (result.status, result.objective, result.feasible) == ("time_limit", np.inf, False)


def test_a_warm_start_is_the_first_incumbent() -> None:
    rng = np.random.default_rng(1)
    model = knapsack(rng.integers(10, 100, (20, 200)))
    price = rng.integers(10, 100, 200)
    model.price.store_values(dict(enumerate(price.tolist())))
    session = HighsSession(model)
    first = session.solve(time_limit=1.0)
    again = session.solve(time_limit=0.05, warm_start=True)
    assert again.objective <= first.objective + 1e-9


def test_infeasible_is_a_status() -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 1))
    model.c = pyo.Constraint(expr=model.x >= 2)
    model.cost = pyo.Objective(expr=model.x)
    result = HighsSession(model).solve()
    assert (result.status, result.feasible, result.bound) == ("infeasible", False, None)


@pytest.mark.parametrize("missing", ["pyomo", "highspy"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "pyomo":
        monkeypatch.setitem(sys.modules, "pyomo.environ", None)
    with pytest.raises(ImportError, match=r"pip install 'or-envs\[solvers\]'") as error:
        import_pyomo()
    assert missing in str(error.value)
    assert "\n" not in str(error.value)


HIGHS = """
import highspy
h = highspy.Highs()
h.silent()
x = h.addVariable(ub=4)
h.maximize(x)
assert h.val(x) == 4
"""
CP_SAT = """
from ortools.sat.python import cp_model
m = cp_model.CpModel()
y = m.new_int_var(0, 5, "y")
m.maximize(y)
s = cp_model.CpSolver()
s.parameters.num_workers = 1
assert s.solve(m) == cp_model.OPTIMAL and s.value(y) == 5
"""


@pytest.mark.parametrize("order", [(HIGHS, CP_SAT), (CP_SAT, HIGHS)], ids=["highs", "cp_sat"])
def test_highs_and_ortools_share_a_process(order: tuple[str, str]) -> None:
    pytest.importorskip("ortools")
    code = textwrap.dedent("".join(order)) + "print('both solved')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "both solved", done.stderr


def test_the_node_limit_is_a_limit_until_it_is_lifted() -> None:
    rng = np.random.default_rng(1)
    model = knapsack(rng.integers(10, 100, (10, 40)))
    price = rng.integers(10, 100, 40)
    model.price.store_values(dict(enumerate(price.tolist())))
    session = HighsSession(model)
    stopped = session.solve(node_limit=1)
    assert stopped.status == "node_limit"
    assert stopped.bound is not None
    assert stopped.bound < stopped.objective < 0
    optimal = session.solve()
    assert optimal.status == "optimal"
    assert optimal.objective <= stopped.objective
