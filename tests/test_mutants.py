"""The mutants and their tests: what is drawn, from where, and that each module has tests that are nearest to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cosmic_ray.mutating import mutate_code
from cosmic_ray.work_item import WorkerOutcome, WorkResult

from benchmarks.__main__ import insert
from tests.mutants.__main__ import CONTRIBUTING, score, survivors
from tests.mutants.laboratory import ROOT, Verdict, killer_in
from tests.mutants.nearest import COMPILED, NEAREST, PACKAGE, nearest
from tests.mutants.operators import DropCopy, DropStatement
from tests.mutants.sample import Known, Mutant, Population, known, modules
from tests.stress import stress

SOURCE = '''
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from os import PathLike


def clip(values: list[float] | None, least: int = 3) -> int | None:
    """Return the sum."""
    if values is None:
        raise ValueError("values")
    kept: int | None = sum(values) + least
    kept += 1
    return kept


def order(values):
    ready = values.copy()
    ready.sort()
    return sorted(ready)
'''


@pytest.fixture
def population(tmp_path: Path) -> Population:
    """The mutants of a package of one module."""
    folder = tmp_path / PACKAGE / "engines" / "memory"
    folder.mkdir(parents=True)
    (folder / "sums.py").write_text(SOURCE)
    return Population(tmp_path, ["engines/memory/sums.py"], tmp_path)


def changes(mutants: list[Mutant]) -> set[tuple[str, str]]:
    return {(mutant.was, mutant.becomes) for mutant in mutants}


def everything(population: Population) -> list[Mutant]:
    return [mutant for spec in population.specs if (mutant := population.describe(spec))]


def test_what_is_wrong_is_wrong_in_many_ways(population: Population) -> None:
    found = changes(everything(population))
    assert {
        ("if values is None:", "if values is not None:"),
        ("if values is None:", "if not values is None:"),
        ('raise ValueError("values")', "pass"),
        ("kept: int | None = sum(values) + least", "kept: int | None = sum(values) - least"),
        ("kept += 1", "pass"),
        ("kept += 1", "kept += 2"),
        ("ready = values.copy()", "ready = values"),
        ("ready.sort()", "pass"),
        ("return sorted(ready)", "return ready"),
    } <= found


def test_what_is_never_evaluated_is_left_alone(population: Population) -> None:
    for was, becomes in changes(everything(population)):
        assert "TYPE_CHECKING" not in was
        assert was.count("|") <= becomes.count("|"), "an annotation was changed, and nothing else"


def test_a_sample_has_one_mutant_of_a_place_and_depends_on_the_seed_alone(population: Population) -> None:
    first, again, other = (list(population.draw(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    places = [(mutant.spec.start_pos, mutant.spec.operator_name.partition("_")[0]) for mutant in first]
    assert len(places) == len(set(places)) < len(population.specs)


def test_a_known_mutant_is_told_by_what_it_changes(population: Population) -> None:
    wanted = Known("engines/memory/sums.py", "clip", "kept += 1", "kept += 0")
    found = population.find(wanted)
    assert (found.where, found.was, found.becomes, found.area) == ("clip", "kept += 1", "kept += 0", "engines")
    anything = Known("engines/memory/sums.py", "clip", "kept += 1")
    assert {mutant.becomes for mutant in everything(population) if anything.is_like(mutant)} >= {"kept += 2", "pass"}
    for other in (
        Known("engines/memory/sums.py", "order", "kept += 1"),
        Known("engines/memory/sum.py", "clip", "kept += 1"),
    ):
        assert not other.is_like(found)
    with pytest.raises(LookupError, match=r"no 'kept \+= 1' in clip any more"):
        population.find(Known("engines/memory/sums.py", "clip", "kept += 1", "kept += 3"))


@pytest.mark.parametrize("operator", [DropStatement, DropCopy])
def test_statements_and_copies_are_dropped_as_the_examples_say(operator: type[DropStatement | DropCopy]) -> None:
    for example in operator.examples():
        assert mutate_code(example.pre_mutation_code, operator(), 0) == example.post_mutation_code


def test_every_module_has_tests_that_are_nearest() -> None:
    there = modules(ROOT)
    assert set(COMPILED) <= set(there)
    assert {path for path in NEAREST if not path.endswith("*")} <= set(there)
    for tests in [*map(nearest, there), tuple(entry.killer for entry in known("killed"))]:
        paths = [test.partition("::")[0] for test in tests if test.startswith(("tests/", PACKAGE))]
        assert paths
        assert all((ROOT / path).is_file() for path in paths), paths
    assert nearest("engines/memory/wavefront.py")[1:] == NEAREST["engines/memory/wavefront.py"]
    brand_new = "engines/memory/brand_new.py"
    assert nearest(brand_new) == (f"{PACKAGE}/{brand_new}", *NEAREST["engines/memory/*"])


def test_what_is_known_of_mutants_is_of_the_code_as_it_is() -> None:
    for kind in ("killed", "equivalent"):
        for entry in known(kind):
            lines = [" ".join(line.split()) for line in (ROOT / PACKAGE / entry.module).read_text().splitlines()]
            missing = [line for line in entry.was.split("\n") if line not in lines]
            assert not missing, f"{entry.module} has no {missing} any more: see tests/mutants/known.toml"
            assert entry.killer if kind == "killed" else entry.why


def test_the_score_counts_what_was_killed(population: Population) -> None:
    first, second, third, *_ = everything(population)
    verdicts = [Verdict(first, "tests/test_a.py::test_b", 1.0), Verdict(second, None, 2.0)]
    assert score(verdicts, [third]).splitlines()[2:] == [
        "| engines | 2 | 1 | 1 | 50% | 1 |",
        "| all | 2 | 1 | 1 | 50% | 1 |",
    ]
    listed = survivors(verdicts).splitlines()
    assert listed == [f"{second.place} ({second.where})", f"    - {second.was}", f"    + {second.becomes}"]


@pytest.mark.parametrize(
    ("printed", "killer"),
    [
        (
            "ERROR    package:module.py:240 it stopped\nFAILED tests/test_a.py::test_b[x y] - no",
            "tests/test_a.py::test_b[x y]",
        ),
        ("ERROR tests/test_a.py - ImportError: no", "tests/test_a.py"),
        ("ERROR    package:module.py:240 it stopped\nSegmentation fault", "a crash, or a test without end"),
    ],
)
def test_who_killed_a_mutant_is_told_from_what_was_printed(printed: str, killer: str) -> None:
    result = WorkResult(WorkerOutcome.NORMAL, printed, "killed")
    assert killer_in(result) == killer


def test_contributing_has_a_place_for_the_score() -> None:
    text = CONTRIBUTING.read_text()
    assert "| a |" in insert(text, "mutants", "| a |")


@stress  # `.ci/run` does so too, by its command
def test_one_that_must_be_killed_is_killed_in_a_copy(tmp_path: Path) -> None:
    """The change is made where the tests run, and nowhere else."""
    before = {path: path.read_bytes() for path in (ROOT / PACKAGE).rglob("*.py")}
    script = (
        "from tests.mutants.__main__ import *\n"
        "entry = known('killed')[0]\n"
        "with laboratory() as place:\n"
        "    population = Population(place.root, [entry.module], place.root.parent)\n"
        "    (verdict,) = attempt(place, [population.find(entry)], (entry.killer,))\n"
        "print(place.root, verdict.killer)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    place, killer = done.stdout.split()
    assert killer.startswith(known("killed")[0].killer)
    assert not Path(place).exists()
    assert {path: path.read_bytes() for path in before} == before
