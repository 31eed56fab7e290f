"""The code in README.md and CONTRIBUTING.md is run, not only read."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import fintech_toolkit as ft
from tests.processes import python

ROOT = Path(__file__).parents[1]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_kernel_of_contributing_is_one_file_and_passes_the_contract(tmp_path: Path) -> None:
    (source,) = blocks("CONTRIBUTING.md", "python")
    (place,) = re.findall(r"`(fintech_toolkit/kernels/\w+/(\w+)\.py)`", (ROOT / "CONTRIBUTING.md").read_text())
    for part in ("fintech_toolkit", "data_generators", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path, name = place
    assert not (tmp_path / path).exists()
    (tmp_path / path).write_text(source)
    contract = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kernels/test_contract.py", "-k", name]
    done = python(tmp_path, *contract, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 10, "all of the ten checks, at least once"
    shown = python(tmp_path, "-m", "fintech_toolkit", "kernels", "show", name, PYTHONPATH=str(tmp_path))
    assert name in shown.stdout


def test_the_tour_of_the_readme_runs(tmp_path: Path) -> None:
    tour = blocks("README.md", "python")
    assert tour
    done = python(tmp_path, "-c", "\n".join(tour))
    assert done.returncode == 0, done.stderr[-5000:]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_targets_commands_and_files_that_are_named_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)\b", " ".join(re.findall(r"`+[^`]+`+", text)))) <= targets
    for name in re.findall(r"\bft\.(\w+)", text):
        assert hasattr(ft, name) or name in ("uptick_share", "sticky_level"), f"{document} names ft.{name}"
    for name in re.findall(r"`([\w./]+\.(?:py|ipynb|yml|txt|toml|md))`", text):
        found = (ROOT / name).is_file() or (ROOT / "fintech_toolkit" / name).is_file() or "uptick_share" in name
        assert found, f"{document} names {name}"
