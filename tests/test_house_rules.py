"""What the architecture promises, read off the source: rooms, sizes, what is never done, documentation."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import data_generators
import fintech_toolkit as ft

ROOT = Path(__file__).parents[1]
MOST_LINES = 400

# A module imports from rooms above its own. The foundations know nobody, the scan knows no kernel, frames know no
# engine, what runs in memory knows no other engine, and the nodes of a stream do not know Kafka.
ROOMS = (
    {"errors"},
    {"schema"},
    {"scan"},
    {"authoring"},
    {"kernels"},
    {"flow"},
    {"frames"},
    {"engines.memory"},
    {"engines.dask"},
    {"engines.live"},
    {"kafka"},
    {"live"},
    {"pipeline"},
    {"calls", "joins", "horizons", "reference"},
    {"dataflow"},
    {"checking", "progress", "retries", "settings"},
    {"dashboards"},
    {"__init__"},
    {"enrichment", "orders", "recipes", "signals"},
    {"doctor", "demo"},
    {"cli"},
    {"__main__"},
)


@cache
def tracked() -> list[Path]:
    """The files of the repository, those about to be added included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def modules(*folders: str) -> list[Path]:
    found = [p for p in tracked() if p.suffix == ".py" and p.relative_to(ROOT).parts[0] in folders]
    assert found, f"no modules in {folders}"
    return found


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]


def room_of(name: str) -> str | None:
    package, *parts = name.split(".")
    if package != "fintech_toolkit":
        return None
    rooms = set().union(*ROOMS)
    return next((room for n in (2, 1) if (room := ".".join(parts[:n])) in rooms), "__init__")


def inhabited() -> Iterator[tuple[str, Path]]:
    """The modules of the package by room; the engines have a room each."""
    for path in modules("fintech_toolkit"):
        parts = path.relative_to(ROOT / "fintech_toolkit").with_suffix("").parts
        if parts != ("engines", "__init__"):
            yield ".".join(parts[: 2 if parts[0] == "engines" else 1]), path


def imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every import, also within functions, but not those for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)
        yield from imports(node)


def test_every_module_has_its_room() -> None:
    assert {room for room, _ in inhabited()} == set().union(*ROOMS)


def test_imports_point_one_way() -> None:
    level = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
    wrong = []
    for mine, path in inhabited():
        for node, name in imports(tree_of(path)):
            theirs = room_of(name)
            if theirs is not None and theirs != mine and level[theirs] >= level[mine]:
                wrong.append(f"{where(path, node)}: {mine} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_no_circle_of_imports() -> None:
    """Nor one that only a call closes."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules("fintech_toolkit")}
    paths = {name.removesuffix(".__init__"): path for name, path in names.items()}

    def imported(module: str) -> set[str]:
        found = [name for _, name in imports(tree_of(paths[module]))]
        theirs = {name if name in paths else name.rpartition(".")[0] for name in found}
        return theirs & paths.keys()

    TopologicalSorter({module: imported(module) for module in paths}).prepare()  # an error names the circle


def test_nobody_asks_of_which_sort_a_frame_is() -> None:
    """What depends on that is a verb of the view; but the scan lies below, and what comes from Kafka has one sort."""
    sorts = re.compile(r"\b(DataFrame|Table|RecordBatch|(Pandas|Arrow|Dict)Frame)\b")
    found = [
        where(path, node)
        for room, path in inhabited()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance" and sorts.search(ast.unparse(node))
        if room not in ("scan", "frames", "engines.live", "kafka")
    ]
    assert not found


def test_the_generators_can_do_without_the_toolkit() -> None:
    known = [
        where(path, node)
        for path in modules("data_generators")
        for node, name in imports(tree_of(path))
        if name.startswith("fintech_toolkit")
    ]
    assert not known


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in tracked() if path.suffix == ".py"
    }
    assert not {name: length for name, length in lengths.items() if length > MOST_LINES}


def calls(*folders: str) -> Iterator[tuple[Path, ast.Call, str]]:
    for path in modules(*folders):
        yield from ((path, node, name) for node, name in calls_of(path))


@cache
def calls_of(path: Path) -> list[tuple[ast.Call, str]]:
    return [(node, ast.unparse(node.func)) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]


def test_nothing_is_unpickled() -> None:
    unpickling = re.compile(r"(pickle|dill|joblib|marshal|shelve)\.(loads?|open)$|read_pickle$|torch\.load$")
    found = [
        where(path, node) for path, node, name in calls("fintech_toolkit", "data_generators") if unpickling.search(name)
    ]
    found += [
        where(path, node)
        for path, node, _ in calls("fintech_toolkit", "data_generators")
        if any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
    ]
    assert not found


def test_no_test_sleeps() -> None:
    """A pause between two looks at a condition belongs to a loop; any other is a guess."""
    pause = re.compile(r"(^|\.)sleep$|\.wait_for_timeout$")
    found = []
    for path in modules("tests"):
        tree = tree_of(path)
        waiting = {id(node) for loop in ast.walk(tree) if isinstance(loop, ast.While) for node in ast.walk(loop)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and pause.search(ast.unparse(node.func)) and id(node) not in waiting:
                found.append(where(path, node))
    assert not found, "wait for the condition instead: " + ", ".join(found)


def test_no_comprehension_rebinds_a_name_of_its_function() -> None:
    """A walrus in a comprehension binds in the function around it: a name of its own would be another from then on."""
    comprehensions = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    found = []
    for path in modules("fintech_toolkit", "data_generators", "tests"):
        for function in ast.walk(tree_of(path)):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            parts = [part for part in ast.walk(function) if isinstance(part, comprehensions)]
            inside = {id(node): node for part in parts for node in ast.walk(part)}
            walruses = [node for node in inside.values() if isinstance(node, ast.NamedExpr)]
            bound = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
            bound |= {
                node.id
                for node in ast.walk(function)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in inside
            }
            found += [where(path, node) for node in walruses if node.target.id in bound]
    assert not found


def test_choices_are_compared_by_name() -> None:
    """With constants such as SEED["first"]: a number would still compare if the options changed their order."""
    chosen = {path: set[str]() for path in modules("fintech_toolkit")}
    for path, call, name in calls("fintech_toolkit"):
        if name == "Choice":
            chosen[path].add(ast.literal_eval(call.args[0]))
    compared, wrong = 0, []
    for path, choices in chosen.items():
        nodes = list(ast.walk(tree_of(path)))
        named = set()
        for node in nodes:
            if isinstance(node, ast.Assign):
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                if all(re.fullmatch(r"[A-Z_]+\['\w+'\]", ast.unparse(value)) for value in values):
                    named |= {
                        part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)
                    }
        for node in nodes:
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            others = [side for side in sides if not (isinstance(side, ast.Name) and side.id in choices)]
            if len(others) < len(sides):
                compared += 1
                texts = [ast.unparse(other) for other in others]  # an oracle is given the name itself
                wrong += [where(path, node) for text in texts if text not in named and not text.startswith("'")]
    assert compared
    assert not wrong


def test_numba_is_used_in_the_one_way_that_is_safe() -> None:
    """Cached gufuncs corrupt the cache, parallel targets abort, fastmath changes bits; one function does the rest."""
    risky = {"cache", "parallel", "target", "fastmath"}
    found = [
        (path, node)
        for path, node, name in calls("fintech_toolkit")
        if re.search(r"(^|\.)(n?jit|cfunc|g?u?vectorize)$", name) and risky & {k.arg for k in node.keywords}
    ]
    assert {path.name for path, _ in found} == {"compilation.py"}, [where(path, node) for path, node in found]
    assert {k.arg for k in found[0][1].keywords} & risky == {"cache"}
    assert "njit" in ast.unparse(found[0][1])


def test_no_path_of_a_machine() -> None:
    machine = re.compile(r"(?<![\w.])/(root|home|Users|work)/\w")
    found = []
    for path in tracked():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{n}: {line[:200]}" for n, line in enumerate(lines, 1) if machine.search(line)
        ]
    assert not found, "\n".join(found)


PUBLIC = [("fintech_toolkit", name) for name in ft.__all__] + [
    ("data_generators", name) for name in data_generators.__all__
]


def sections(docstring: str) -> dict[str, str]:
    """The numpydoc sections by heading."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", docstring, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


@pytest.mark.parametrize(("package", "name"), PUBLIC, ids=[".".join(item) for item in PUBLIC])
def test_public_names_are_documented(package: str, name: str) -> None:
    thing = getattr({"fintech_toolkit": ft, "data_generators": data_generators}[package], name)
    docstring = inspect.getdoc(thing)
    assert docstring, "no docstring"
    found = sections(docstring)
    assert found[""].strip(), "no summary"
    if inspect.isclass(thing):
        members = [m for m in vars(thing).values() if inspect.isfunction(m) or isinstance(m, property)]
        bare = [
            m.__qualname__ if inspect.isfunction(m) else m.fget.__qualname__
            for m in members
            if not (m.__name__ if inspect.isfunction(m) else m.fget.__name__).startswith("_") and not inspect.getdoc(m)
        ]
        assert not bare, f"no docstring: {bare}"
        # What users get and do not make says what it holds.
        if issubclass(thing, Exception) or "Attributes" in found:
            return
    parameters = [p for p in inspect.signature(thing).parameters if not p.startswith("_")]
    text = found.get("Parameters", "")
    missing = [p for p in parameters if not re.search(rf"^[\w*, ]*\b{p}\b", text, flags=re.MULTILINE)]
    assert not missing, f"parameters without documentation: {missing}"
    if inspect.isfunction(thing) and inspect.signature(thing).return_annotation not in (None, "None"):
        assert "Returns" in found or "Yields" in found
    assert ">>> " in docstring or is_dataclass(thing), "no example"
