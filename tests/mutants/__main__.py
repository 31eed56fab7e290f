"""``make mutants``: how many of the wrong changes the nearest tests notice."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated

import typer

from benchmarks.__main__ import insert, markdown
from tests.mutants.laboratory import ROOT, Laboratory, Verdict, broker, laboratory
from tests.mutants.nearest import AREAS, nearest
from tests.mutants.sample import Mutant, Population, known, modules

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
NEEDED = 0.85
"""Share of the mutants that tests must kill."""


def score(verdicts: list[Verdict], equivalent: list[Mutant]) -> str:
    """Return the score by area as a Markdown table."""
    rows = []
    for area in (*AREAS, "all"):
        mine = [v for v in verdicts if area in ("all", v.mutant.area)]
        if mine:
            killed = sum(v.killer is not None for v in mine)
            rows.append(
                {
                    "area": area,
                    "mutants": len(mine),
                    "killed": killed,
                    "survived": len(mine) - killed,
                    "score": f"{killed / len(mine):.0%}",
                    "equivalent_besides": sum(area in ("all", m.area) for m in equivalent),
                }
            )
    return markdown(rows)


def survivors(verdicts: list[Verdict]) -> str:
    """Return a list of the survivors: where, and what was changed."""
    lines = []
    for verdict in verdicts:
        if verdict.killer is None:
            mutant = verdict.mutant
            changed = "\n".join([*_signed("-", mutant.was), *_signed("+", mutant.becomes)])
            lines.append(f"{mutant.place} ({mutant.where})\n{changed}")
    return "\n".join(lines)


def _signed(sign: str, text: str) -> list[str]:
    return [f"    {sign} {line}" for line in text.splitlines()]


def choose(population: Population, sample: int, seed: int) -> tuple[list[Mutant], list[Mutant]]:
    """Return the mutants to try, and those that were drawn too but that nobody could notice."""
    equivalent = known("equivalent")
    chosen: list[Mutant] = []
    spared: list[Mutant] = []
    for mutant in population.draw(seed):
        (spared if any(entry.is_like(mutant) for entry in equivalent) else chosen).append(mutant)
        if len(chosen) == sample:
            break
    return chosen, spared


def attempt(place: Laboratory, chosen: list[Mutant], tests: tuple[str, ...] = ()) -> Iterator[Verdict]:
    """Try mutants one after the other on these tests, or else on their nearest, with a line for each."""
    with ExitStack() as stack:
        nearby = () if tests else {test for mutant in chosen for test in nearest(mutant.module)}
        if any(test.startswith("tests/live/") for test in nearby):
            stack.enter_context(broker())
        for number, mutant in enumerate(chosen, 1):
            verdict = place.attempt(mutant, tests or nearest(mutant.module))
            what = f"killed by {verdict.killer}" if verdict.killer else "SURVIVED"
            was, becomes = (text.replace("\n", " ⏎ ")[:80] for text in (mutant.was, mutant.becomes))
            print(
                f"[{number}/{len(chosen)}] {mutant.place}: {was}  →  {becomes}: {what}, {verdict.seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
            yield verdict


def main(
    sample: Annotated[int, typer.Option(help="How many mutants to try.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="The same seed draws the same mutants of the same code.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option(help="A module such as frames/order.py; all are drawn from if left out.")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="Those few that are known to be killed, and must be.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Write the score into CONTRIBUTING.md.")] = False,
) -> None:
    """Change the code in a copy of the checkout, one wrong change at a time, and run the nearest tests on each."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background job starts with it ignored
        signal.signal(stop, signal.default_int_handler)
    spared: list[Mutant] = []
    verdicts: list[Verdict] = []
    with laboratory() as place:
        if short:
            expected = known("killed")
            population = Population(place.root, sorted({entry.module for entry in expected}), place.root.parent)
            chosen = [population.find(entry) for entry in expected]
            killers = tuple(dict.fromkeys(entry.killer for entry in expected))
        else:
            population = Population(place.root, only or modules(place.root), place.root.parent)
            chosen, spared = choose(population, sample, seed)
            killers = ()
        try:
            verdicts.extend(attempt(place, chosen, killers))
        finally:  # also when it is broken off
            table = score(verdicts, spared)
            print(f"{table}\n\n{survivors(verdicts)}")
    if report:
        CONTRIBUTING.write_text(insert(CONTRIBUTING.read_text(), "mutants", table))
    killed = sum(verdict.killer is not None for verdict in verdicts)
    if killed < (1 if short else NEEDED) * len(verdicts):
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
