"""Where mutants are tried: a copy of the checkout, so that the user's files are never touched."""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_item import TestOutcome, WorkResult

from tests.kafka import KafkaBroker
from tests.mutants.nearest import COMPILED
from tests.mutants.sample import Mutant

ROOT = Path(__file__).parents[2]
MEMORY = 8 << 30
"""Bytes that a mutant may ask for before it counts as killed: some of them ask for ever more."""

LONGEST = 900
"""Seconds that tests may take."""

UNNAMED = "a crash, or a test without end"
"""The killer, if pytest did not live to name one."""

# Tests that are at work when all is broken off end too.
PYTEST = (
    *([setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []),
    *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--disable-warnings"),
    "--hypothesis-seed=0",
    # A deadlock ends the process, whatever holds it.
    *("--timeout=60", "--timeout-method=thread"),
)


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: who killed it, if anybody, and how long that took."""

    mutant: Mutant
    killer: str | None
    seconds: float


class Laboratory:
    """A copy of the checkout in which mutants are tried, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "copy"
        self.warm = folder / "numba"
        self.scratch = folder / "scratch"
        self._copy()
        os.chdir(self.root)
        # The copy comes before the checkout that is installed, for the tests' own processes too.
        os.environ["PYTHONPATH"] = str(self.root)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

    def _copy(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)

    @contextmanager
    def _caches(self, module: str) -> Iterator[None]:
        """Run without what Hypothesis remembers, and with no compiled loop that a mutant of a module could spoil."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        cache = self.scratch / "numba"
        if not module.startswith("scan/"):
            cache = self.warm  # what is compiled elsewhere is kept under the time and size of its file, changed or not
        elif module not in COMPILED and self.warm.exists():
            # Linked, not copied: Numba replaces files and never writes into them.
            shutil.copytree(self.warm, cache, copy_function=os.link)
        cache.mkdir(parents=True, exist_ok=True)
        os.environ["NUMBA_CACHE_DIR"] = str(cache)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(self.scratch / "hypothesis")
        try:
            yield
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    @cache  # noqa: B019 - there is one laboratory
    def check_unchanged(self, tests: tuple[str, ...]) -> None:
        """Raise if tests fail on the code as it is: then they can tell nothing about mutants."""
        with self._caches(""):
            done = subprocess.run([*PYTEST, *tests], capture_output=True, text=True, timeout=LONGEST, check=False)
        if done.returncode:
            raise RuntimeError(f"the tests fail before anything is changed:\n{done.stdout[-5000:]}")

    def attempt(self, mutant: Mutant, tests: tuple[str, ...]) -> Verdict:
        """Make the change, run the tests, and take it back; who says that it is wrong must not say so without it."""
        start = time.monotonic()
        for _ in range(2):  # on a busy machine an innocent test may seem to be without end, but hardly twice
            with self._caches(mutant.module):
                killer = killer_in(mutate_and_test([mutant.spec], shlex.join([*PYTEST, *tests]), LONGEST))
            if killer != UNNAMED:
                break
        seconds = time.monotonic() - start
        if killer is not None:
            self.check_unchanged((killer,) if "::" in killer else tests)
        return Verdict(mutant, killer, seconds)


def killer_in(result: WorkResult) -> str | None:
    """Return the first test that failed, None if none did. Lines of the log may begin like those that name tests."""
    if result.test_outcome is TestOutcome.INCOMPETENT or result.output is None:
        raise RuntimeError(f"cosmic-ray could not run the tests: {result.output}")
    if not result.is_killed:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", result.output, flags=re.MULTILINE)
    return failed[1] if failed else UNNAMED


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Copy the checkout, and take the copy away in the end."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="fintech-toolkit-mutants-") as folder:
        try:
            yield Laboratory(Path(folder))
        finally:
            os.chdir(home)


@contextmanager
def broker() -> Iterator[None]:
    """Keep one broker up for all mutants, unless there is one."""
    if "KAFKA_BOOTSTRAP_SERVERS" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="fintech-toolkit-kafka-") as folder:
        kafka = KafkaBroker(Path(folder))
        kafka.start()
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
        try:
            yield
        finally:
            del os.environ["KAFKA_BOOTSTRAP_SERVERS"]
            kafka.kill()
