"""A driver of searches to be killed: ``python -m tests.ablate.search.driver HOME key=value ...``.

Real process slots, fake training. Prints the trials as one line of JSON at the end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ablate.executors import LocalExecutor
from ablate.home import Home, driver_lock
from ablate.ledger import open_ledger
from ablate.options import read_arguments
from ablate.progress import Quiet
from ablate.search.execute import Runs
from ablate.search.plan import make_search_plan
from ablate.search.replay import run_searches
from tests.ablate.search.conftest import WORK


def trials_of(searches) -> list:
    """All that the searches are, as JSON keeps it (floats by repr)."""
    return [
        [s.arm, s.replicate, t.number, dict(t.values), list(t.scores), list(t.keys), t.stopped]
        for s in searches
        for t in s.trials
    ]


def main(folder: str, settings: list[str]) -> None:
    """Run the searches of a study to their end, as ``ablate search`` does."""
    study, _ = read_arguments(settings)
    home = Home(Path(folder))
    with driver_lock(home):
        ledger = open_ledger(home.ledger)
        ledger.release_running()
        executor = LocalExecutor(2, work=WORK)
        try:
            runs = Runs(ledger, executor, Quiet(), 100)
            searches = run_searches(make_search_plan(study), runs)
        finally:
            executor.close()
    print(json.dumps(trials_of(searches)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
