"""A worker process: ``python -m ablate.executors.slot MODULE:FUNCTION CHECKPOINTS [PLUGIN ...]``.

Reads groups of RunSpecs with the work to do on them from standard input, one line of JSON each, and
writes one line per result. MODULE:FUNCTION is the usual work; CHECKPOINTS is a folder, or empty.
A thread of its own reads, so that the end of the input (the driver has died) ends the process even
during a run.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ablate.spec import RunSpec


def main(work: str, checkpoints: str, plugins: list[str]) -> None:
    """Serve groups until the input ends."""
    # results alone may reach the driver: whatever a library prints goes to standard error
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    groups: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(groups,), daemon=True).start()
    for plugin in plugins:
        importlib.import_module(plugin)
    find(work)
    folder = Path(checkpoints) if checkpoints else None
    while True:
        group = json.loads(groups.get())
        specs = [RunSpec.from_json(json.dumps(data)) for data in group["specs"]]
        try:
            lines = [result.to_json() for result in find(group["work"])(specs, folder)]
        except Exception as error:
            traceback.print_exception(error)
            reason = reason_of(error)
            lines = [json.dumps({"key": spec.key, "failure": reason}) for spec in specs]
        for line in lines:
            results.write(line + "\n")
        results.flush()


def find(work: str) -> Callable[..., Any]:
    """The function that ``module:function`` names."""
    module, _, function = work.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _read(groups: queue.Queue[str]) -> None:
    for line in sys.stdin:
        groups.put(line)
    os._exit(0)


def reason_of(error: Exception) -> str:
    """One line for the ledger: what was raised, and where."""
    kind = "out of memory" if "memory" in f"{type(error).__name__}".lower() else "crash"
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(where.filename)}:{where.lineno}"
    return f"{kind}: {type(error).__name__}: {error} ({place})"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
