"""The wheel and the sdist hold all that is needed, and work without the repository."""

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

#: Imports every module in a fresh process; prints what failed, and where the packages lie.
IMPORT_ALL = """
import importlib, json, pkgutil
failed, places = {}, []
for package in %r:
    module = importlib.import_module(package)
    places.append(module.__file__)
    for found in pkgutil.walk_packages(module.__path__, package + "."):
        if not found.name.endswith("__main__"):
            try:
                importlib.import_module(found.name)
            except Exception as error:
                failed[found.name] = repr(error)
print(json.dumps([failed, places]))
"""


def _run(*command, cwd, **options):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _build(source, kind, folder):
    _run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source)
    (path,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    return _build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


def _contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(wheel):
    names = set(_contents(wheel))
    if (ROOT / ".git").exists():
        known = _run("git", "ls-files", *PACKAGES, cwd=ROOT).splitlines()
        assert set(known) <= names
    for folder in ("suites", "hyperparameters", "hyperparameters/spaces", "trained"):
        assert any(name.startswith(f"benchmarks/{folder}/") for name in names)
    assert any(name.endswith("model.safetensors") for name in names)
    assert any(name.startswith("or_envs/") and "/data/" in name for name in names)
    outside = {name for name in names if name.partition("/")[0] not in PACKAGES}
    assert all(".dist-info/" in name for name in outside)
    assert not any("__pycache__" in name for name in names)


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(wheel, tmp_path):
    with tarfile.open(_build(ROOT, "sdist", tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    for name in ("tests", "docs", "README.md", "CHANGELOG.md", "LICENSE", "constraints.txt"):
        assert (source / name).exists()
    again = _build(source, "wheel", tmp_path / "again")
    first, second = _contents(wheel), _contents(again)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.slow
def test_the_wheel_works_without_the_repository(wheel, tmp_path):
    """In an environment of its own, which borrows the packages that the wheel depends on."""
    home, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    _run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"),
        *("--no-index", "--disable-pip-version-check", wheel),
        cwd=empty,
    )
    site = Path(_run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=empty)[:-1])
    # A path file's folder comes after the environment's own, and its path files are not read: an
    # editable installation there does not count.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    or_bench = home / "bin" / "or-bench"
    listed = _run(or_bench, "list", cwd=empty)
    for name in ("or_envs/LotSizing-v0", "pdppo", "lot_sizing/greedy", "standard"):
        assert name in listed
    trained = min((site / "benchmarks" / "trained").glob("adp-LotSizing-*"))
    played = _run(or_bench, "evaluate", trained, "--episodes", "2", cwd=empty)
    assert re.match(r"cost [\d.]+", played)

    failed, places = json.loads(
        _run(python, "-c", IMPORT_ALL % PACKAGES, cwd=empty).splitlines()[-1]
    )
    hint = failed.pop("benchmarks.rl_zoo3", "or-envs[zoo]")  # not part of "all"
    assert "or-envs[zoo]" in hint
    assert failed == {}
    assert all(Path(place).is_relative_to(home) for place in places)
    assert list(empty.iterdir()) == []

    extra_of = "from or_envs.extras import extra_of as e; print(e('torch'), e('optuna'), e('yaml'))"
    assert _run(python, "-c", extra_of, cwd=empty).split() == ["agents", "tune", "bench"]


def test_the_oldest_python_understands_every_line():
    """Compiled as 3.11, whatever Python runs the tests, and declared from there on."""
    oldest = (3, 11)
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    for package in (*PACKAGES, "tests"):
        for path in (ROOT / package).rglob("*.py"):
            ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=oldest)
    versions = {
        line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if "3." in line
    }
    assert versions == {"3.11", "3.12", "3.13"}
