import dataclasses
import errno
import os

import pytest

from benchmarks.cells import cells_of, failed_record
from benchmarks.config import load_suite
from benchmarks.errors import UserError
from benchmarks.files import write_atomically
from benchmarks.records import read

from .helpers import fake, run, write_suite


@pytest.fixture
def record(tmp_path):
    (cell,) = cells_of(load_suite(str(write_suite(tmp_path, fake("idle")))))
    return failed_record(cell, "no reason")


def test_round_trip_is_exact(record, tmp_path):
    record = dataclasses.replace(record, costs=[0.1 + 0.2, 1e-300, 1 / 3], train_seconds=1)
    record.write(tmp_path / "a.json")
    assert read(tmp_path / "a.json") == record


def test_a_failing_write_leaves_the_old_file(record, tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    record.write(path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        dataclasses.replace(record, train_seconds=float("nan")).write(path)
    assert read(path) == record

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space.*{path}"):
        write_atomically(path, "new")
    assert read(path) == record
    assert list(tmp_path.glob("*.tmp")) == []
    assert list(tmp_path.glob(".*.tmp")) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], r"damaged at line \d+ column \d+"),
        (lambda text: "", "damaged at line 1 column 1"),
        (lambda text: "[]", "expected a JSON object, got list"),
        (lambda text: text.replace('"seed"', '"sead"'), "unknown field 'sead'"),
        (lambda text: text.replace('"status": "failed"', '"status": "fine"'), "field 'status'"),
        (lambda text: text.replace('"costs": null', '"costs": [1, "x"]'), "field 'costs'"),
    ],
)
def test_a_damaged_record_is_named_with_the_remedy(record, tmp_path, damage, message):
    path = tmp_path / "a.json"
    record.write(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=rf"a\.json: {message}.*delete this file") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_a_damaged_record_stops_the_suite_and_nothing_else_is_touched(tmp_path):
    suite = write_suite(tmp_path, fake("idle"), fake("first_item"))
    run(suite, tmp_path / "results")
    cells = tmp_path / "results" / "tiny" / "cells"
    damaged, intact = sorted(cells.iterdir())
    before = intact.read_bytes()
    half = damaged.read_bytes()[:200]
    damaged.write_bytes(half)
    with pytest.raises(UserError, match=f"{damaged.name}: damaged at line"):
        run(suite, tmp_path / "results")
    assert damaged.read_bytes() == half
    assert intact.read_bytes() == before
    damaged.unlink()
    records, _ = run(suite, tmp_path / "results")
    assert [record.status for record in records] == ["ok", "ok"]
    assert intact.read_bytes() == before
