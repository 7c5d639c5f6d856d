"""Times of the same fits in R, where ``Rscript`` with lme4 is present."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pandas as pd


class R:
    """An R process per measurement: reads the table, times the call alone, prints seconds."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.present = shutil.which("Rscript") is not None and self._works("library(lme4)")
        self.has_kr = self.present and self._works("library(pbkrtest)")

    def _works(self, code: str) -> bool:
        done = subprocess.run(["Rscript", "-e", code], capture_output=True, check=False)
        return done.returncode == 0

    def seconds(self, frame: pd.DataFrame, code: str, setup: str = "") -> float:
        """Seconds of ``code`` in R with ``d`` holding the table."""
        path = self.home / "table.csv"
        frame.to_csv(path, index=False)
        script = (
            f"suppressMessages({{library(lme4); if ({int(self.has_kr)}) library(pbkrtest)}});"
            f"d <- read.csv('{path}', stringsAsFactors=TRUE); {setup or 0};"
            f"t <- system.time({code})[['elapsed']]; cat(t)"
        )
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])
