"""Python in a process of its own, from start to end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def python(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, and return how it ended and what it printed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
