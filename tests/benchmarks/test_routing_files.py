"""Published instances one by one."""

import csv
from pathlib import Path

import pytest

from benchmarks import routing_files
from benchmarks.errors import UserError

TRAINED = Path(__file__).parents[2] / "benchmarks" / "trained" / "bq_nco-TSP-20"
FILE = """NAME: square
TYPE: TSP
DIMENSION: 5
EDGE_WEIGHT_TYPE: EUC_2D
NODE_COORD_SECTION
1 0 0
2 10 10
3 10 0
4 0 10
5 5 12
EOF
"""


def test_gaps_are_relative_to_the_reference(tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / f"{name}.tsp").write_text(FILE)
    files = [str(tmp_path / f"{name}.tsp") for name in ("one", "two")]
    arguments = [str(TRAINED), *files, "--reference", "routing/nearest_neighbour"]
    routing_files.main([*arguments, "--decoders", "greedy", "beam:4"])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(row["file"], row["nodes"]) for row in rows] == [("one", "5"), ("two", "5")]
    for row in rows:
        # 10 + 10 + 5 + 5 + 10, and from the first node the nearest ones do as well.
        assert float(row["routing/nearest_neighbour"]) == 40
        assert float(row["beam:4 gap_percent"]) == 0
        assert 0 <= float(row["greedy gap_percent"]) < 50


def test_broken_files_are_named(tmp_path):
    (tmp_path / "short.tsp").write_text(FILE.replace("5 5 12\n", ""))
    arguments = [str(TRAINED), str(tmp_path / "short.tsp"), "--reference", "routing/two_opt"]
    with pytest.raises(UserError, match=r"short\.tsp"):
        routing_files.main(arguments)
