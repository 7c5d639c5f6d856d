"""MLflow as a view of the ledger: one run per training run, a parent per study, one run per arm.

The ledger is the truth. What MLflow lacks is added whenever a study is run or reported, so a
deleted ``mlflow.db`` comes back. Every run carries every tag, because MLflow's group-by leaves out
runs without the key; each axis is a parameter of its own, so that runs can be compared by it.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ablate.errors import AblateError
from ablate.home import ENVIRONMENT_URI, Home
from ablate.phases import phase_of
from ablate.plan import Plan, PlannedRun
from ablate.result import DONE, Cost, Score
from ablate.spec import UNADAPTED
from talan.axes import AXES

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from stats.compare import Comparison, Effect

CURVE_POINTS = 50
"""A loss curve is thinned to this many points."""

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""Environment that keeps MLflow from calling home and from starting job runners."""


class MlflowTracker:
    """Writes one study's records to MLflow. Not thread-safe; see :class:`BackgroundTracker`."""

    def __init__(self, plan: Plan, home: Home) -> None:
        os.environ.update(QUIET)
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        prepare_store(home)
        self._plan = plan
        self._client: MlflowClient = MlflowClient(tracking_uri=home.mlflow_uri)
        self._experiment = _experiment(self._client, plan.study.name, home)
        self._known = self._find_known()
        self._parent = self._ensure(
            "study", "study", plan.study.name, {"mlflow.note.content": plan.study.question}
        )

    def _find_known(self) -> dict[tuple[str, str], tuple[str, str]]:
        """(kind, name) -> (run id, status) of what an earlier command has recorded."""
        found: dict[tuple[str, str], tuple[str, str]] = {}
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=1000, page_token=token)
            for run in page:
                tags = run.data.tags
                name = (tags.get("ablate.kind", ""), tags.get("ablate.record", ""))
                found[name] = (run.info.run_id, run.info.status)
            token = page.token
            if not token:
                return found

    def _ensure(self, kind: str, record: str, name: str, tags: Mapping[str, str]) -> str:
        """The id of a record's MLflow run, created if it is new."""
        if (kind, record) in self._known:
            return self._known[kind, record][0]
        own = {"ablate.kind": kind, "ablate.record": record, "ablate.study": self._plan.study.name}
        if kind != "study":
            own["mlflow.parentRunId"] = self._parent
        run = self._client.create_run(self._experiment, tags=own | dict(tags), run_name=name)
        self._known[kind, record] = (run.info.run_id, "RUNNING")
        return run.info.run_id

    def record_run(
        self,
        planned: PlannedRun,
        outcome: str,
        reason: str,
        cost: Cost,
        losses: tuple[float, ...],
        scores: Mapping[str, Score],
    ) -> None:
        """Record a finished run at its place in the design, once; ``scores`` is by benchmark."""
        from mlflow.entities import Metric, Param, RunTag

        record = f"{planned.arm.name}|{planned.key}|{planned.seed}"
        if self._known.get(("run", record), ("", ""))[1] == "FINISHED":
            return
        draw = f"draw {planned.hp} | " if self._plan.study.draws.count else ""
        name = f"{planned.arm.label} | {planned.backbone} | {draw}seed {planned.seed}"
        run_id = self._ensure("run", record, name, run_tags(planned, outcome, reason))
        metrics = {f"score/{name}": 100 * s.score for name, s in scores.items()}
        metrics |= {f"loglik/{name}": s.mean_loglik for name, s in scores.items()}
        metrics |= {f"cost/{name}": float(value) for name, value in vars(cost).items()}
        batch = [Metric(key, value, 0, 0) for key, value in finite(metrics).items()]
        step = max(1, math.ceil(len(losses) / CURVE_POINTS))
        batch += [
            Metric("curve/loss", losses[i], 0, i)
            for i in range(0, len(losses), step)
            if math.isfinite(losses[i])
        ]
        params = [Param(key, value) for key, value in run_params(planned).items()]
        tags = [RunTag("ablate.outcome", outcome), RunTag("ablate.reason", reason)]
        self._client.log_batch(run_id, metrics=batch, params=params, tags=tags)
        self._finish("run", record, "FINISHED")

    def record_report(
        self,
        comparison: Comparison,
        averages: Comparison | None,
        folder: Path,
        inside: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
    ) -> None:
        """Record what the report says: a run per arm with its effects, and the files.

        ``inside`` has metrics of the probes by arm.
        """
        from mlflow.entities import Metric, Param

        by_arm: dict[str, list[Effect]] = {}
        for effect in comparison.cells:
            by_arm.setdefault(effect.name, []).append(effect)
        overall = {effect.name: effect for effect in (averages.primary if averages else ())}
        for arm in self._plan.design.arms:
            if arm.name not in by_arm:
                continue
            levels = {f"axis.{axis}": text for axis, text in arm.level_texts().items()}
            run_id = self._ensure(
                "arm", arm.name, f"arm: {arm.label}", {"ablate.arm": arm.name} | levels
            )
            metrics: dict[str, float | None] = {}
            for effect in by_arm[arm.name]:
                metrics |= effect_metrics(".".join((effect.cell or {}).values()), effect)
            if arm.name in overall:
                metrics |= effect_metrics("average", overall[arm.name])
            metrics |= {metric_name(key): v for key, v in inside.get(arm.name, {}).items()}
            self._client.log_batch(
                run_id,
                metrics=[Metric(key, value, 0, 0) for key, value in finite(metrics).items()],
                params=[
                    Param(key, value) for key, value in ({"adapter": arm.adapter} | levels).items()
                ],
            )
            self._finish("arm", arm.name, "FINISHED")
        primary: dict[str, float | None] = {}
        for effect in comparison.primary:
            primary |= effect_metrics(effect.name, effect)
        self._client.log_batch(
            self._parent,
            metrics=[
                Metric(metric_name(key), value, 0, 0) for key, value in finite(primary).items()
            ],
        )
        self._client.log_artifacts(self._parent, str(folder))
        self._finish("study", "study", "FINISHED")

    def _finish(self, kind: str, record: str, status: str) -> None:
        run_id, old = self._known[kind, record]
        if old != status:
            self._client.set_terminated(run_id, status)
            self._known[kind, record] = (run_id, status)


class BackgroundTracker:
    """Records runs from a thread of its own, so that training never waits for MLflow.

    Its import, the first use of a database and each record take seconds to milliseconds in which
    the driver must keep its workers busy. An error in the thread is raised by :meth:`close`.
    """

    def __init__(self, plan: Plan, home: Home) -> None:
        self._jobs: queue.Queue[Any] = queue.Queue()
        self._error: BaseException | None = None
        self._tracker: MlflowTracker | None = None
        self._thread = threading.Thread(target=self._serve, args=(plan, home), daemon=True)
        self._thread.start()

    def _serve(self, plan: Plan, home: Home) -> None:
        try:
            self._tracker = MlflowTracker(plan, home)
            while (job := self._jobs.get()) is not None:
                self._tracker.record_run(*job)
        except BaseException as error:
            self._error = error

    def record_run(self, *job: Any) -> None:
        """See :meth:`MlflowTracker.record_run`."""
        self._jobs.put(job)

    def close(self) -> MlflowTracker:
        """Wait until all is recorded; returns the tracker for the report."""
        self._jobs.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._tracker is not None
        return self._tracker


def prepare_store(home: Home) -> None:
    """Make MLflow's database, if there is none, under another name first.

    Its tables come from a long series of migrations; a driver killed among them would leave a
    database that no later command could open.
    """
    if ENVIRONMENT_URI in os.environ or home.mlflow_database.exists():
        return
    from mlflow import MlflowClient

    part = home.mlflow_database.with_suffix(".part")
    part.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{part}").search_experiments(max_results=1)
    part.replace(home.mlflow_database)


def _experiment(client: MlflowClient, name: str, home: Home) -> str:
    """The id of the study's experiment, made if it is new."""
    found = client.get_experiment_by_name(name)
    if found is None:
        local = ENVIRONMENT_URI not in os.environ
        return str(client.create_experiment(name, home.artifacts.as_uri() if local else None))
    if found.lifecycle_stage == "deleted":
        raise AblateError(
            f"MLflow's experiment {name!r} is deleted, which keeps its name reserved",
            place="name",
            hint=f"run 'mlflow gc --backend-store-uri {home.mlflow_uri}' or choose another name=",
        )
    return str(found.experiment_id)


def run_tags(planned: PlannedRun, outcome: str, reason: str) -> dict[str, str]:
    """The tags of a run; all runs have all of them."""
    seed, backbone, hp = str(planned.seed), planned.backbone, str(planned.hp)
    return {
        "ablate.run_key": planned.key,
        "ablate.arm": planned.arm.name,
        "ablate.adapter": planned.arm.adapter,
        "ablate.backbone": backbone,
        "ablate.hp": hp,
        "ablate.seed": seed,
        "ablate.pair": f"{backbone}|{hp}|{seed}",
        "ablate.phase": phase_of(planned.seed),
        "ablate.outcome": outcome,
        "ablate.reason": reason,
    }


def run_params(planned: PlannedRun) -> dict[str, str]:
    """The parameters of a run: one per axis (empty for a baseline) and one per hyperparameter."""
    params = {f"axis.{axis}": text for axis, text in planned.arm.level_texts().items()}
    params |= {"adapter": planned.arm.adapter, "backbone": planned.backbone}
    params |= {"seed": str(planned.seed)}
    if planned.arm.name != UNADAPTED:
        params |= {f"hp.{name}": repr(value) for name, value in vars(planned.spec.hp).items()}
    assert set(AXES) == {name[5:] for name in params if name.startswith("axis.")}
    return params


def effect_metrics(prefix: str, effect: Effect) -> dict[str, float | None]:
    """An effect as metrics: MLflow has no error bars, so the limits are metrics of their own."""
    return {
        metric_name(f"{prefix}/{name}"): getattr(effect, name)
        for name in ("delta", "ci_low", "ci_high", "p", "p_adjusted", "n_pairs")
    }


def metric_name(text: str) -> str:
    """``text`` with the characters that MLflow refuses replaced."""
    return "".join(c if c.isalnum() or c in "_-./ " else "-" for c in text)


def finite(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Metrics that are numbers; MLflow's SQLite store has no place for the others."""
    return {k: float(v) for k, v in metrics.items() if v is not None and math.isfinite(v)}


def done_benchmarks(scores: Iterable[Score], outcome: str) -> dict[str, Score]:
    """Scores by benchmark, none for a run that did not end well."""
    return {score.benchmark: score for score in scores} if outcome == DONE else {}
