"""What is declared once for pip, once for conda and once with exact versions must agree, and be what is imported."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import fintech_toolkit

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CONDA_NAMES = {"python-confluent-kafka": "confluent-kafka", "python-isal": "isal"}


def bounds(requirements: list[str]) -> dict[str, str]:
    """Name and version range of each requirement."""
    parsed = [Requirement(text) for text in requirements]
    return {canonicalize_name(r.name): str(r.specifier) for r in parsed}


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pairs = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    assert all(pairs), "names and exact versions only"
    return {canonicalize_name(pair[1]): pair[2] for pair in pairs if pair}


def test_the_version_is_said_in_one_place() -> None:
    assert fintech_toolkit.__version__ == PROJECT["version"]


def test_every_requirement_has_a_lower_bound_and_no_upper_one() -> None:
    for requirements in (PROJECT["dependencies"], *EXTRAS.values()):
        for name, versions in bounds(requirements).items():
            assert re.fullmatch(r">=[\d.]+", versions), f"{name}{versions}"


def test_the_versions_of_python_are_those_that_are_said_to_be_tested() -> None:
    classified = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", text)]
    said = re.search(r"Tested on Linux, Python (.+), with the versions", (ROOT / "README.md").read_text())
    assert said
    assert re.findall(r"3\.\d+", said[1]) == classified
    assert PROJECT["requires-python"] == f">={classified[0]}"


def test_conda_gets_the_same() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    entries = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    conda = bounds(entries)
    conda = {CONDA_NAMES.get(name, name): versions for name, versions in conda.items()}
    assert conda.pop("python") == PROJECT["requires-python"]
    conda.pop("pip")
    assert conda == bounds(PROJECT["dependencies"]) | bounds(EXTRAS["notebooks"])
    assert environment["dependencies"][-1] == {"pip": ["--editable ."]}
    assert environment["channels"] == ["conda-forge"]


def test_exact_versions_are_within_the_bounds() -> None:
    exact = pins()
    for requirements in (PROJECT["dependencies"], *EXTRAS.values()):
        for text in requirements:
            needed = Requirement(text)
            assert Version(exact[canonicalize_name(needed.name)]) in needed.specifier, text


def test_all_that_gets_installed_has_an_exact_version() -> None:
    """Walks from the distribution through what is installed, extras included."""
    exact = pins()
    queue = [("fintech-toolkit", extra) for extra in ("", *EXTRAS)]
    seen = set(queue)
    while queue:
        name, extra = queue.pop()
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # an extra that this environment does not have
        for text in requirements:
            needed = Requirement(text)
            if needed.marker and not needed.marker.evaluate({"extra": extra}):
                continue
            key = canonicalize_name(needed.name)
            assert key in exact, f"{key} (by way of {name}) is not in constraints.txt"
            for item in {(key, wanted) for wanted in ("", *needed.extras)} - seen:
                seen.add(item)
                queue.append(item)
    assert len(seen) > len(PROJECT["dependencies"])


def third_party(folder: str) -> dict[str, str]:
    """The top-level modules that a folder imports and does not hold, each with a file that does so."""
    own = {"fintech_toolkit", "data_generators", "tests", "benchmarks"} | sys.stdlib_module_names
    found: dict[str, str] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                if name.split(".")[0] not in own:
                    found.setdefault(name.split(".")[0], str(path.relative_to(ROOT)))
    return found


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("fintech_toolkit", ()), ("data_generators", ()), ("tests", ("test",)), ("benchmarks", ("bench",))],
)
def test_what_is_imported_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    declared = set(bounds(PROJECT["dependencies"]))
    for extra in extras:
        declared |= set(bounds(EXTRAS[extra]))
    if folder == "benchmarks":  # what bounds the versions of others has an environment of its own
        declared |= set(bounds((ROOT / folder / "peers.txt").read_text().splitlines()))
    # Oracles stand beside their kernels and are run by the tests.
    oracles = set(bounds(EXTRAS["test"])) if folder == "fintech_toolkit" else set()
    distributions = metadata.packages_distributions()
    for module, path in third_party(folder).items():
        names = {canonicalize_name(name) for name in distributions.get(module, [module])}
        allowed = declared | (oracles if path.startswith("fintech_toolkit/kernels/") else set())
        assert names & allowed, f"{path} imports {module}, which is not declared"


def test_types_are_shipped() -> None:
    for package in ("fintech_toolkit", "data_generators"):
        assert (ROOT / package / "py.typed").is_file()


def test_the_hooks_are_valid_and_run_what_ci_runs() -> None:
    path = ROOT / ".pre-commit-config.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-config", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    (repository,) = yaml.safe_load(path.read_text())["repos"]
    entries = [hook["entry"] for hook in repository["hooks"]]
    assert repository["repo"] == "local"
    assert entries == ["make lint"]
    assert "make lint\n" in (ROOT / ".ci" / "run").read_text()


def test_make_finds_no_python_and_says_so(tmp_path: Path) -> None:
    for program in ("sh", "echo", "rm", "make"):
        (tmp_path / program).symlink_to(
            f"/usr/bin/{program}" if Path(f"/usr/bin/{program}").exists() else f"/bin/{program}"
        )
    done = subprocess.run(
        [tmp_path / "make", "-f", ROOT / "Makefile", f"VENV={tmp_path}/venv", f"{tmp_path}/venv/bin/python"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Python 3.11 or newer is needed" in done.stderr


def test_make_takes_the_python_that_it_is_told(tmp_path: Path) -> None:
    told = [f"VENV={tmp_path}/venv", f"PYTHON={tmp_path}/none {sys.executable}"]
    subprocess.run(["make", "-f", ROOT / "Makefile", *told, f"{tmp_path}/venv/bin/python"], check=True)
    assert f"home = {Path(sys.executable).resolve().parent}" in (tmp_path / "venv" / "pyvenv.cfg").read_text()
