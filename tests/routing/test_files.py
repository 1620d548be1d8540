"""Readers against published optimal values, other libraries, and damaged files."""

from pathlib import Path

import numpy as np
import pytest

import or_envs
from baselines.registration import make
from or_envs.routing.tsplib import read_atsp, read_cvrp, read_orienteering, read_tsp

DATA = Path(__file__).parents[3] / "shared" / "data"
shared = pytest.mark.skipif(not DATA.is_dir(), reason="needs the published instances")

TSP_OPTIMA = {
    "burma14": 3323, "ulysses22": 7013, "att48": 10628, "eil51": 426, "berlin52": 7542,
    "st70": 675, "eil76": 538, "kroA100": 21282, "rd100": 7910, "lin105": 14379, "pr107": 44303,
    "bier127": 118282, "ch150": 6528, "d198": 15780, "kroB200": 29437, "a280": 2579,
    "lin318": 42029, "pcb442": 50778, "rat783": 8806,
}  # fmt: skip
ATSP_OPTIMA = {"br17": 39, "ftv33": 1286, "ry48p": 14422, "ftv70": 1950}
CVRP_OPTIMA = {"A-n32-k5": 784, "B-n31-k5": 672, "P-n16-k8": 450, "E-n13-k4": 247}


def solved(id, path, solver, time_limit=None, **settings):
    problem = or_envs.make_problem(f"or_envs/{id}-v0", instance=str(path))
    instance, _ = or_envs.sample(problem, 0, 1)
    solution = make(solver, problem, 0, **settings).solve(instance, time_limit=time_limit)
    replayed = or_envs.simulate(problem, solution.actions[None], instance)
    assert -replayed.total_reward[0] == pytest.approx(solution.objective)
    return solution.objective


@shared
@pytest.mark.parametrize("name", ["pr107", "bier127", "ch150", "kroA100", "lin105"])
def test_local_search_is_near_the_optimum(name):
    path = DATA / "tsplib" / f"{name}.tsp"
    found = solved("TSP", path, "routing/iterated_local_search", iterations=100)
    assert TSP_OPTIMA[name] <= found <= 1.01 * TSP_OPTIMA[name]


@shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ATSP_OPTIMA)
def test_asymmetric_optima_are_proven(name):
    path = DATA / "atsp" / f"{name}.atsp"
    assert solved("ATSP", path, "routing/subtour_elimination") == ATSP_OPTIMA[name]


@shared
@pytest.mark.slow
@pytest.mark.parametrize("name", TSP_OPTIMA)
def test_tsplib_optima_are_found_again(name):
    pytest.importorskip("elkai")
    path = DATA / "tsplib" / f"{name}.tsp"
    assert solved("TSP", path, "routing/lkh", runs=3) == TSP_OPTIMA[name]


@shared
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TSP_OPTIMA if name not in ("pcb442", "rat783")])
def test_fast_tsp_finds_tsplib_optima_again(name):
    pytest.importorskip("fast_tsp")
    path = DATA / "tsplib" / f"{name}.tsp"
    found = solved("TSP", path, "routing/fast_tsp", time_limit=5.0)
    # How far it comes depends on the machine's speed.
    assert TSP_OPTIMA[name] <= found <= 1.001 * TSP_OPTIMA[name]


@shared
@pytest.mark.parametrize("name", ["burma14", "ulysses22", "att48", "eil51", "berlin52", "pr107"])
def test_small_tsplib_optima_are_proven(name):
    path = DATA / "tsplib" / f"{name}.tsp"
    assert solved("TSP", path, "routing/subtour_elimination") == TSP_OPTIMA[name]


@shared
@pytest.mark.parametrize("name", ["eil51", "kroA100"])
def test_memetic_search_finds_tsplib_optima_again(name):
    path = DATA / "tsplib" / f"{name}.tsp"
    found = solved("TSP", path, "routing/memetic")
    assert TSP_OPTIMA[name] <= found <= 1.002 * TSP_OPTIMA[name]


@shared
@pytest.mark.parametrize("name", ["burma14", "att48", "eil51", "berlin52", "st70"])
def test_small_tsplib_optima_are_met(name):
    path = DATA / "tsplib" / f"{name}.tsp"
    found = solved("TSP", path, "routing/iterated_local_search", iterations=400)
    assert found == TSP_OPTIMA[name]


@shared
@pytest.mark.parametrize("name", ATSP_OPTIMA)
def test_asymmetric_optima_are_found_again(name):
    path = DATA / "atsp" / f"{name}.atsp"
    found = solved("ATSP", path, "routing/asymmetric_search", iterations=60)
    assert ATSP_OPTIMA[name] <= found <= 1.02 * ATSP_OPTIMA[name]


@shared
@pytest.mark.parametrize("name", CVRP_OPTIMA)
def test_cvrplib_optima_are_found_again(name):
    path = DATA / "cvrplib" / f"{name}.vrp"
    assert solved("CVRP", path, "routing/hybrid_genetic", iterations=500) == CVRP_OPTIMA[name]


@shared
@pytest.mark.parametrize("name", ["E-n13-k4", "P-n16-k8"])
def test_small_cvrplib_optima_are_proven(name):
    path = DATA / "cvrplib" / f"{name}.vrp"
    assert solved("CVRP", path, "routing/rounded_capacity") == CVRP_OPTIMA[name]


@shared
@pytest.mark.slow
def test_larger_cvrplib_optimum_is_found_again():
    path = DATA / "cvrplib" / "X-n101-k25.vrp"
    found = solved("CVRP", path, "routing/hybrid_genetic", iterations=5000)
    assert found == 27591


@shared
@pytest.mark.parametrize("name", [*CVRP_OPTIMA, "X-n101-k25", "X-n200-k36"])
def test_reader_agrees_with_vrplib_and_published_routes(name):
    vrplib = pytest.importorskip("vrplib")
    path = DATA / "cvrplib" / f"{name}.vrp"
    instance = read_cvrp(path)
    other = vrplib.read_instance(path)
    weights = np.asarray(other["edge_weight"])
    if "node_coord" in other:  # vrplib does not round by itself
        weights = np.floor(weights + 0.5)
    np.testing.assert_array_equal(instance.distances[0], weights)
    np.testing.assert_array_equal(instance.demand[0], other["demand"])
    assert instance.capacity[0] == other["capacity"]
    solution = vrplib.read_solution(path.with_suffix(".sol"))
    length = sum(instance.distances[0][[0, *r], [*r, 0]].sum() for r in solution["routes"])
    assert length == solution["cost"]


OP = """NAME : tiny
TYPE : OP
DIMENSION : 3
COST_LIMIT : 7
EDGE_WEIGHT_TYPE : EUC_2D
NODE_COORD_SECTION
1 0 0
2 3 0
3 0 4
NODE_SCORE_SECTION
1 0
2 5
3 6
DEPOT_SECTION
 1
 -1
EOF
"""
VRP = OP.replace("OP\n", "CVRP\n").replace("COST_LIMIT", "CAPACITY").replace("SCORE", "DEMAND")
VRP = VRP.replace("NODE_DEMAND", "DEMAND")
TSP = "\n".join(OP.splitlines()[:9]).replace(": OP", ": TSP").replace("COST_LIMIT : 7\n", "")
MATRIX = """TYPE : TSP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EXPLICIT
EDGE_WEIGHT_FORMAT : {}
EDGE_WEIGHT_SECTION
{}
EOF
"""


def written(tmp_path, text):
    path = tmp_path / "instance.txt"
    path.write_text(text)
    return path


def test_orienteering_file(tmp_path):
    path = written(tmp_path, OP)
    instance = read_orienteering(path)
    assert instance.prize.tolist() == [[0, 5, 6]]
    assert instance.budget.tolist() == [7]
    assert instance.distances[0].tolist() == [[0, 3, 4], [3, 0, 5], [4, 5, 0]]
    problem = or_envs.make_problem("or_envs/Orienteering-v0", instance=str(path))
    found = make("routing/orienteering_dp", problem).solve(or_envs.sample(problem, 0, 1)[0])
    assert found.objective == -5


def test_depot_becomes_node_0(tmp_path):
    text = VRP.replace(" 1\n -1", " 3\n -1").replace("1 0\n2 5\n3 6", "1 6\n2 5\n3 0")
    instance = read_cvrp(written(tmp_path, text))
    assert instance.coordinates[0].tolist() == [[0, 4], [0, 0], [3, 0]]
    assert instance.demand[0].tolist() == [0, 6, 5]


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ("FULL_MATRIX", "0 1 2 1 0 3 2 3 0"),
        ("UPPER_ROW", "1 2 3"),
        ("LOWER_ROW", "1 2 3"),
        ("UPPER_DIAG_ROW", "0 1 2 0 3 0"),
        ("LOWER_DIAG_ROW", "0 1 0 2 3 0"),
        ("UPPER_COL", "1 2 3"),
        ("LOWER_COL", "1 2 3"),
        ("UPPER_DIAG_COL", "0 1 0 2 3 0"),
        ("LOWER_DIAG_COL", "0 1 2 0 3 0"),
    ],
)
def test_matrix_formats(tmp_path, form, numbers):
    instance = read_tsp(written(tmp_path, MATRIX.format(form, numbers)))
    assert instance.distances[0].tolist() == [[0, 1, 2], [1, 0, 3], [2, 3, 0]]
    between = instance.coordinates[0][:, None] - instance.coordinates[0][None]
    np.testing.assert_allclose(np.sqrt((between**2).sum(axis=2)), instance.distances[0], atol=1e-9)


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (read_tsp, TSP.replace("3 0 4", ""), "line 7: NODE_COORD_SECTION: expected 9 numbers"),
        (read_tsp, TSP.replace("N : 3", "N : 4"), "expected 12 numbers for DIMENSION 4, got 9"),
        (read_tsp, TSP.replace("N : 3", "N : x"), "line 3: DIMENSION: expected a finite number"),
        (read_tsp, TSP.replace("EUC_2D", "MOON"), "line 4: EDGE_WEIGHT_TYPE: expected one of EUC"),
        (read_tsp, TSP.replace("2 3 0", "2 nan 0"), "line 7: NODE_COORD_SECTION: .*got 'nan'"),
        (read_tsp, TSP.replace("2 3 0", "5 3 0"), "line 7: NODE_COORD_SECTION: expected node 2"),
        (read_tsp, TSP.replace("TYPE : TSP", "TYPE : SOP"), "line 2: TYPE: expected TSP"),
        (read_tsp, TSP.replace("DIMENSION : 3\n", ""), "field DIMENSION is missing"),
        (read_tsp, "what is this", "line 1: expected 'KEY : value'"),
        (read_tsp, "1 2 3", "line 1: '1 2 3' is in no section"),
        (read_tsp, MATRIX.format("SPIRAL", "1 2 3"), "EDGE_WEIGHT_FORMAT: expected one of FULL"),
        (read_tsp, MATRIX.format("UPPER_ROW", "1 -2 3"), "EDGE_WEIGHT_SECTION: expected >= 0"),
        (read_tsp, MATRIX.format("FULL_MATRIX", "0 1 2 9 0 3 2 3 0"), "1 to 2 is not as far as"),
        (read_atsp, MATRIX.format("FULL_MATRIX", "0 1 2"), "expected 9 numbers"),
        (read_cvrp, VRP, "DEMAND_SECTION is missing"),
        (read_cvrp, VRP.replace("2 5", "2 8"), r"line 12: DEMAND_SECTION: expected 0..7.*got 8"),
        (read_cvrp, VRP.replace("1 0\n2 5", "1 3\n2 5"), "line 11: DEMAND_SECTION: expected 0 at"),
        (read_cvrp, VRP.replace(" 1\n -1", " 1\n 2\n -1"), "DEPOT_SECTION: expected one node"),
        (read_orienteering, OP.replace("3 6", "3 -6"), "line 13: NODE_SCORE_SECTION: expected >="),
    ],
)
def test_damaged_files_are_refused_by_line(tmp_path, reader, text, message):
    if reader is read_cvrp and "missing" in message:
        text = text.replace("DEMAND_SECTION", "OTHER_SECTION")
    with pytest.raises(ValueError, match=message):
        reader(written(tmp_path, text))
