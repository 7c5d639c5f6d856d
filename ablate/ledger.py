"""The ledger: the source of truth about runs, one SQLite file, written by the driver alone.

States of a run::

    waiting --claim--> running --finish--> done | diverged      (outcomes: final)
                       running --fail----> waiting              (crash, out of memory: retried)
                       running --fail----> failed               (attempts used up)
                       running --release-> waiting              (interrupted; not an attempt)
    failed  --add----> waiting                                  (the next command tries again)

``finish`` writes state and scores in one transaction, so a killed driver loses at most the runs in
flight: those are found ``running`` at the next start and released. Scores belong to (run, benchmark
digest); a finished run asked for a benchmark it lacks becomes ``waiting`` again. A diverged run has
a reason and never a score. What probes have measured of a run goes with the run: training it again
removes it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ablate.ledger_schema import connect
from ablate.probing.result import Probed
from ablate.result import DIVERGED, DONE, Cost, RunResult, Score
from ablate.spec import RunSpec, content_key

WAITING, RUNNING, FAILED = "waiting", "running", "failed"
STATES = (WAITING, RUNNING, DONE, DIVERGED, FAILED)
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class RunRecord:
    """What the ledger knows of a run."""

    key: str
    spec: RunSpec
    state: str
    attempts: int
    reason: str
    cost: Cost | None
    losses: tuple[float, ...]
    environment: str
    finished: float | None


@dataclass(frozen=True)
class Reported:
    """A report that somebody may have read: the seeds it showed, and when."""

    study: str
    seeds: tuple[int, ...]
    written: float


@dataclass(frozen=True)
class Registered:
    """A plan that was written down before its runs: canonical JSON, its digest, and when."""

    digest: str
    study: str
    content: str
    written: float


class Ledger:
    """An open ledger. Use :func:`open_ledger`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, specs: Mapping[str, RunSpec]) -> None:
        """Enter runs that are new; let failed ones, and ones that lack a score, wait again."""
        have = self.scored(specs)
        with self._transaction():
            for key, spec in specs.items():
                self._db.execute(
                    "INSERT OR IGNORE INTO run VALUES (?, ?, ?, 0, '', NULL, NULL, NULL, NULL)",
                    (key, spec.to_json(), WAITING),
                )
                self._db.execute(
                    "UPDATE run SET state = ?, attempts = 0 WHERE key = ? AND state = ?",
                    (WAITING, key, FAILED),
                )
                wanted = {part.digest for part in spec.benchmarks}
                if not wanted <= have.get(key, set()):
                    self._db.execute(
                        "UPDATE run SET spec = ?, state = ? WHERE key = ? AND state IN (?, ?)",
                        (spec.to_json(), WAITING, key, DONE, WAITING),
                    )

    def release_running(self) -> int:
        """Runs a dead driver left ``running`` wait again; returns how many."""
        with self._transaction():
            cursor = self._db.execute(
                "UPDATE run SET state = ? WHERE state = ?", (WAITING, RUNNING)
            )
            return cursor.rowcount

    def claim(self, key: str) -> None:
        """``waiting`` to ``running``."""
        self._move(key, WAITING, RUNNING)

    def release(self, key: str) -> None:
        """``running`` to ``waiting`` without counting an attempt."""
        self._move(key, RUNNING, WAITING)

    def _move(self, key: str, old: str, new: str) -> None:
        with self._transaction():
            cursor = self._db.execute(
                "UPDATE run SET state = ? WHERE key = ? AND state = ?", (new, key, old)
            )
            if cursor.rowcount != 1:
                raise RuntimeError(f"run {key} is not {old}")

    def finish(self, result: RunResult) -> None:
        """Record an outcome, done or diverged, with its scores, in one transaction."""
        environment = content_key(result.environment)
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO environment VALUES (?, ?)",
                (environment, json.dumps(result.environment, sort_keys=True)),
            )
            self._db.execute(
                "UPDATE run SET state = ?, attempts = attempts + 1, reason = ?, cost = ?, "
                "losses = ?, environment = ?, finished = ? WHERE key = ?",
                (
                    result.outcome,
                    result.reason,
                    json.dumps(asdict(result.cost)),
                    json.dumps([repr(loss) for loss in result.losses]),
                    environment,
                    time.time(),
                    result.key,
                ),
            )
            self._db.execute("DELETE FROM probe WHERE key = ?", (result.key,))
            self._db.executemany(
                "INSERT OR REPLACE INTO score VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (result.key, s.benchmark, s.digest, s.n_items, s.score, s.mean_loglik, s.pack())
                    for s in result.scores
                ],
            )

    def fail(self, key: str, reason: str) -> str:
        """Count a failed attempt; the run waits for the next one or has failed. Returns which."""
        with self._transaction():
            self._db.execute(
                "UPDATE run SET attempts = attempts + 1, reason = ?, "
                "state = CASE WHEN attempts + 1 < ? THEN ? ELSE ? END WHERE key = ?",
                (reason, MAX_ATTEMPTS, WAITING, FAILED, key),
            )
        return self.records([key])[key].state

    def train_again(self, keys: Iterable[str]) -> None:
        """Let finished runs wait again; their scores stay until they have new ones."""
        with self._transaction():
            self._db.executemany(
                "UPDATE run SET state = ? WHERE key = ? AND state = ?",
                [(WAITING, key, DONE) for key in keys],
            )

    def add_probe(self, result: Probed) -> None:
        """Record what was measured of a run; the same probe again replaces it."""
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO probe VALUES (?, ?, ?, ?, ?)",
                (result.key, result.recipe, result.prompts, result.pack(), time.time()),
            )

    def probes(self, prompts: Mapping[str, str], recipe: int) -> dict[str, Probed]:
        """What a recipe has measured of runs; ``prompts`` has the digest of the prompts by key."""
        if not self._has_table("probe"):
            return {}
        rows = self._select("SELECT key, recipe, prompts, content FROM probe", prompts)
        return {
            key: Probed.unpack(content)
            for key, made_by, digest, content in rows
            if (made_by, digest) == (recipe, prompts[key])
        }

    def _has_table(self, name: str) -> bool:
        """False of a ledger with an older schema that was opened to be read."""
        sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
        return bool(self._db.execute(sql, (name,)).fetchone()[0])

    def records(self, keys: Iterable[str]) -> dict[str, RunRecord]:
        """The records of those of ``keys`` that the ledger has, in the order of ``keys``."""
        rows = self._select("SELECT * FROM run", keys)
        found = {}
        for key, spec, state, attempts, reason, cost, losses, environment, finished in rows:
            found[key] = RunRecord(
                key,
                RunSpec.from_json(spec),
                state,
                attempts,
                reason,
                Cost(**json.loads(cost)) if cost else None,
                tuple(float(loss) for loss in json.loads(losses or "[]")),
                environment or "",
                finished,
            )
        return found

    def keys(self) -> list[str]:
        """The keys of all runs."""
        return [key for (key,) in self._db.execute("SELECT key FROM run ORDER BY key")]

    def states(self, keys: Iterable[str]) -> dict[str, str]:
        """The state of those of ``keys`` that the ledger has."""
        return dict(self._select("SELECT key, state FROM run", keys))

    def scored(self, keys: Iterable[str]) -> dict[str, set[str]]:
        """The digests of the benchmarks that each run has a score for."""
        found: dict[str, set[str]] = {}
        for key, digest in self._select("SELECT key, digest FROM score", keys):
            found.setdefault(key, set()).add(digest)
        return found

    def scores(self, keys: Iterable[str]) -> dict[tuple[str, str], Score]:
        """Scores with their items by (run key, benchmark digest)."""
        rows = self._select("SELECT key, benchmark, digest, n_items, items FROM score", keys)
        return {
            (key, digest): Score.unpack(benchmark, digest, n, items)
            for key, benchmark, digest, n, items in rows
        }

    def environments(self) -> dict[str, dict[str, str]]:
        """Recorded environments by id."""
        rows = self._db.execute("SELECT id, content FROM environment")
        return {name: json.loads(content) for name, content in rows}

    def costs(self) -> list[tuple[RunSpec, Cost]]:
        """What the finished runs cost, in the order of their keys, for estimates of time."""
        sql = "SELECT spec, cost FROM run WHERE cost IS NOT NULL ORDER BY key"
        return [
            (RunSpec.from_json(spec), Cost(**json.loads(cost)))
            for spec, cost in self._db.execute(sql)
        ]

    def reported(self, design: str) -> list[Reported]:
        """Earlier reports of a design, oldest first."""
        rows = self._db.execute(
            "SELECT study, seeds, written FROM report WHERE design = ? ORDER BY written", (design,)
        )
        return [Reported(study, tuple(json.loads(seeds)), at) for study, seeds, at in rows]

    def add_report(self, design: str, study: str, seeds: Sequence[int]) -> None:
        """Remember that a report was written, once per set of seeds."""
        if any(seen.seeds == tuple(seeds) for seen in self.reported(design)):
            return
        with self._transaction():
            self._db.execute(
                "INSERT INTO report VALUES (?, ?, ?, ?)",
                (design, study, json.dumps(list(seeds)), time.time()),
            )

    def register(self, study: str, digest: str, content: str) -> Registered:
        """Write a plan down; what was registered before stays."""
        plan = Registered(digest, study, content, time.time())
        with self._transaction():
            self._db.execute(
                "INSERT INTO registered VALUES (?, ?, ?, ?)",
                (plan.digest, plan.study, plan.content, plan.written),
            )
        return plan

    def registered(self, study: str) -> list[Registered]:
        """The plans of a study, oldest first; the last one counts."""
        return [plan for plan in self.registrations() if plan.study == study]

    def registrations(self) -> list[Registered]:
        """The plans of all studies, oldest first."""
        if not self._has_table("registered"):
            return []
        rows = self._db.execute(
            "SELECT digest, study, content, written FROM registered ORDER BY written, rowid"
        )
        return [Registered(*row) for row in rows]

    def _select(self, sql: str, keys: Iterable[str]) -> list[tuple]:
        """Rows of a table for ``keys``, in their order; asks in blocks below SQLite's limit."""
        wanted = list(keys)
        rows: list[tuple] = []
        for start in range(0, len(wanted), 500):
            block = wanted[start : start + 500]
            marks = ",".join("?" * len(block))
            rows += self._db.execute(f"{sql} WHERE key IN ({marks})", block).fetchall()
        place = {key: i for i, key in enumerate(wanted)}
        return sorted(rows, key=lambda row: place[row[0]])


def open_ledger(path: Path, *, read_only: bool = False) -> Ledger:
    """Open the ledger at ``path``, making a new one if there is none and it is not ``read_only``.

    One with an older schema gets what it lacks, unless it is opened to be read only.

    Raises:
        AblateError: not a ledger, damaged (never overwritten), or of a newer schema.
    """
    return Ledger(connect(path, read_only=read_only))
