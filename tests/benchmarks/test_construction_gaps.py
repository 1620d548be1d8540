"""The table of gaps of a construction agent's decoders."""

import csv
from pathlib import Path

from benchmarks import construction_gaps

TRAINED = Path(construction_gaps.__file__).parent / "trained" / "bq_nco-TSP-20"


def test_the_reference_has_its_time_limit(monkeypatch, capsys):
    limits = []
    make = construction_gaps.make

    def recorded(name, problem, seed, **settings):
        contestant = make(name, problem, seed, **settings)
        solve = contestant.solve

        def limited(instance, exogenous=None, time_limit=None):
            limits.append((name, time_limit))
            return solve(instance, exogenous, time_limit)

        contestant.solve = limited
        return contestant

    monkeypatch.setattr(construction_gaps, "make", recorded)
    reference, other = "routing/iterated_local_search", "routing/insertion"
    construction_gaps.main(
        [
            *(str(TRAINED), "--env-kwargs", "instance:kool", "--num", "3"),
            *("--reference", reference, "--reference-time-limit", "0.5"),
            *("--baselines", other, "--decoders", "greedy", "both_ends"),
        ]
    )
    assert set(limits) == {(reference, 0.5), (other, None)}
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    names = [reference, other, "bq_nco greedy", "bq_nco both_ends"]
    assert [row["contestant"] for row in rows] == names
    # It searches as long as it may, and anew for its own row.
    assert abs(float(rows[0]["gap_percent"])) < 1
    assert all(-1 < float(row["gap_percent"]) < 20 for row in rows)
