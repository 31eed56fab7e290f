"""The mutants there are, of which a sample is drawn; those that are known are told by what they change, not where."""

from __future__ import annotations

import ast
import difflib
import random
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec

from tests.mutants import operators as _  # noqa: F401 - makes cosmic-ray know them
from tests.mutants.nearest import AREAS, LEFT_OUT, PACKAGE

KNOWN = Path(__file__).with_name("known.toml")


@dataclass(frozen=True)
class Known:
    """A mutant about which something is known: why nobody could notice it, or which test does."""

    module: str
    where: str
    was: str
    becomes: str | None = None
    why: str = ""
    killer: str = ""

    def is_like(self, mutant: Mutant) -> bool:
        """Whether it is this mutant; without `becomes`, whatever the line is turned into."""
        theirs = mutant.module, mutant.where, mutant.was
        return theirs == (self.module, self.where, self.was) and self.becomes in (None, mutant.becomes)


def known(kind: str) -> list[Known]:
    """Return the known mutants that are ``equivalent``, or those that are ``killed``."""
    return [Known(**entry) for entry in tomllib.loads(KNOWN.read_text())[kind]]


@dataclass(frozen=True)
class Mutant:
    """One wrong change: cosmic-ray's description of it, and what it does to which line of which function."""

    spec: MutationSpec
    module: str
    where: str
    was: str
    becomes: str

    @property
    def area(self) -> str:
        """The name under which it is reported."""
        return next(name for name, files in AREAS.items() if Path(self.module).match(files))

    @property
    def place(self) -> str:
        return f"{self.module}:{self.spec.start_pos[0]}"


def modules(root: Path) -> list[str]:
    """Return the modules that are mutated, by their paths within the package."""
    package = root / PACKAGE
    found = [path for files in AREAS.values() for path in sorted(package.glob(files)) if path.name not in LEFT_OUT]
    return [str(path.relative_to(package)) for path in found]


class _Meaning(ast.NodeTransformer):
    """Takes out what is never evaluated: annotations, and imports for type checkers."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns = None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> Any:
        return None if ast.unparse(node.test).endswith("TYPE_CHECKING") else self.generic_visit(node)


@cache
def _meaning(source: str) -> str | None:
    try:
        return ast.dump(_Meaning().visit(ast.parse(source)))
    except SyntaxError:
        return None


class Population:
    """All mutants of some modules."""

    def __init__(self, root: Path, names: list[str], scratch: Path) -> None:
        self.root = root / PACKAGE
        database = WorkDB(scratch / "mutants.sqlite", WorkDB.Mode.create)
        init([self.root / name for name in names], database, {})
        self.specs: list[MutationSpec] = sorted(
            (item.mutations[0] for item in database.work_items),
            key=lambda s: (s.module_path, s.start_pos, s.end_pos, s.operator_name, s.occurrence),
        )
        database.close()

    def sites(self) -> list[list[MutationSpec]]:
        """Return the mutants by what they change: where + is, for one, there are eleven things to put."""
        groups = defaultdict(list)
        for spec in self.specs:
            family = spec.operator_name.partition("_")[0]
            groups[spec.module_path, spec.start_pos, spec.end_pos, family].append(spec)
        return list(groups.values())

    def describe(self, spec: MutationSpec) -> Mutant | None:
        """Return the mutant, or None if it is not Python or means the same."""
        source = spec.module_path.read_text()
        operator = cosmic_ray.plugins.get_operator(spec.operator_name)(**spec.operator_args)
        try:
            mutated = mutate_code(source, operator, spec.occurrence)
        except AttributeError:  # cosmic-ray replaces exceptions by name only, not pa.ArrowInvalid
            return None
        if mutated is None or _meaning(mutated) in (None, _meaning(source)):
            return None
        before, after = source.splitlines(), mutated.splitlines()
        was, becomes = [], []
        for tag, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            if tag != "equal":
                was += before[i:j]
                becomes += after[k:m]
        name = str(spec.module_path.relative_to(self.root))
        where = spec.definition_name or "the module"
        return Mutant(spec, name, where, _shorten(was), _shorten(becomes))

    def draw(self, seed: int) -> Iterator[Mutant]:
        """Yield one mutant of every site, sites in random order."""
        chance = random.Random(seed)
        sites = self.sites()
        chance.shuffle(sites)
        for site in sites:
            if mutant := self.describe(chance.choice(site)):
                yield mutant

    def find(self, wanted: Known) -> Mutant:
        """Return the mutant that is described.

        Raises
        ------
        LookupError
            If the code that it changes is no longer there.
        """
        path = self.root / wanted.module
        lines = path.read_text().splitlines()
        first = wanted.was.split("\n")[0]
        for spec in self.specs:
            if spec.module_path == path and first in lines[spec.start_pos[0] - 1]:
                mutant = self.describe(spec)
                if mutant is not None and wanted.is_like(mutant):
                    return mutant
        raise LookupError(f"{KNOWN.name}: {wanted.module} has no {wanted.was!r} in {wanted.where} any more")


def _shorten(lines: list[str]) -> str:
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())
