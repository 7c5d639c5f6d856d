"""Process slots on this machine.

Importing torch and transformers costs seconds, so a slot lives long: it reads a group of RunSpecs
as one line of JSON from its standard input and writes one line per result. When the driver dies,
the slot's input ends and the slot exits, even in the middle of a run. A slot that dies is started
anew and its runs come back as failures.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ablate.executors.base import TRAIN, Failure, Outcome
from ablate.probing.result import Probed
from ablate.result import RunResult
from ablate.spec import RunSpec

IDLE_DEATHS = 3
"""So many slots in a row may die without having had a run, before the executor gives up."""


@dataclass
class _Slot:
    process: subprocess.Popen[bytes]
    keys: list[str] = field(default_factory=list)
    received: bytes = b""


class LocalExecutor:
    """An :class:`~ablate.executors.base.Executor` of ``workers`` processes with one thread each.

    Args:
        workers: number of slots; one per core is right, more make torch stall; :meth:`grow` adds
            some later.
        work: the work of groups that are submitted without one, imported as the slots start.
        plugins: modules that each slot imports first, as the driver did.
        log: file to which the slots' messages are appended; without one they are discarded.
        checkpoints: folder in which work keeps and finds checkpoints; without one none is kept.
    """

    def __init__(
        self,
        workers: int = 0,
        *,
        work: str = TRAIN,
        plugins: Sequence[str] = (),
        log: Path | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        self._work = work
        folder = "" if checkpoints is None else str(checkpoints)
        self._command = [sys.executable, "-m", "ablate.executors.slot", work, folder, *plugins]
        self._log = log or Path(os.devnull)
        self._selector = selectors.DefaultSelector()
        self._pending: list[Outcome] = []
        self._slots: list[_Slot] = []
        self._idle_deaths = 0
        self.grow(workers)

    def grow(self, workers: int) -> None:
        """Start slots until there are ``workers``; never fewer than there were."""
        while len(self._slots) < workers:
            self._start()

    def _start(self) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # a session of its own: Ctrl-C reaches the driver only, which then ends the slots
                start_new_session=True,
                env=os.environ | threads | {"TOKENIZERS_PARALLELISM": "false"},
            )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        slot = _Slot(process)
        self._slots.append(slot)
        self._selector.register(process.stdout, selectors.EVENT_READ, slot)

    @property
    def free(self) -> int:
        """Number of idle slots."""
        return sum(not slot.keys for slot in self._slots)

    @property
    def pids(self) -> dict[int, list[str]]:
        """Process id of each slot and the keys it is working on."""
        return {slot.process.pid: list(slot.keys) for slot in self._slots}

    def submit(self, specs: Sequence[RunSpec], work: str = "") -> None:
        """Hand a group to an idle slot; ``work`` is the executor's own unless named."""
        slot = next(slot for slot in self._slots if not slot.keys)
        slot.keys = [spec.key for spec in specs]
        group = {
            "work": work or self._work,
            "specs": [json.loads(spec.to_json()) for spec in specs],
        }
        line = json.dumps(group).encode() + b"\n"
        assert slot.process.stdin is not None
        try:
            slot.process.stdin.write(line)
            slot.process.stdin.flush()
        except BrokenPipeError:
            self._bury(slot)

    def poll(self, timeout: float) -> list[Outcome]:
        """Collect what the slots have written; replace the dead ones."""
        for ready, _ in self._selector.select(0 if self._pending else timeout):
            slot: _Slot = ready.data
            assert slot.process.stdout is not None
            data = slot.process.stdout.read()
            if data == b"":
                self._bury(slot)
                continue
            *lines, slot.received = (slot.received + (data or b"")).split(b"\n")
            for line in lines:
                outcome = _outcome(line.decode())
                if outcome.key in slot.keys:
                    slot.keys.remove(outcome.key)
                    self._pending.append(outcome)
        outcomes, self._pending = self._pending, []
        return outcomes

    def _bury(self, slot: _Slot) -> None:
        """A slot has died: its runs failed, a fresh slot takes its place."""
        assert slot.process.stdout is not None
        self._selector.unregister(slot.process.stdout)
        self._slots.remove(slot)
        self._idle_deaths = 0 if slot.keys else self._idle_deaths + 1
        if self._idle_deaths > IDLE_DEATHS:
            raise RuntimeError(
                f"worker processes end before they take a run ({_death(slot.process.wait())}); "
                f"see {self._log}, or try: {' '.join(self._command)}"
            )
        reason = _death(slot.process.wait())
        self._pending += [Failure(key, reason) for key in slot.keys]
        _close_pipes(slot.process)
        self._start()

    def close(self) -> None:
        """Kill the slots and wait for their end."""
        for slot in self._slots:
            slot.process.kill()
        for slot in self._slots:
            slot.process.wait()
            _close_pipes(slot.process)
        self._slots.clear()
        self._selector.close()


def _outcome(line: str) -> Outcome:
    data = json.loads(line)
    if "failure" in data:
        return Failure(data["key"], data["failure"])
    return (Probed if "measured" in data else RunResult).from_json(line)


def _death(code: int) -> str:
    if code >= 0:
        return f"the worker ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"the worker was ended by {name}{hint}"


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
