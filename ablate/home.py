"""The folder in which a study's records live, and the lock that gives it to one driver."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import AblateError

DEFAULT_HOME = "ablate-home"
ENVIRONMENT_VARIABLE = "ABLATE_HOME"
ENVIRONMENT_URI = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Home:
    """Paths of one home."""

    root: Path

    @property
    def ledger(self) -> Path:
        """The source of truth about runs."""
        return self.root / "ledger.sqlite"

    @property
    def mlflow_database(self) -> Path:
        """MLflow's database, where no other store is named."""
        return self.root / "mlflow.db"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's tracking store; ``MLFLOW_TRACKING_URI`` wins."""
        return os.environ.get(ENVIRONMENT_URI) or f"sqlite:///{self.mlflow_database}"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts."""
        return self.root / "mlartifacts"

    @property
    def optuna_uri(self) -> str:
        """Optuna's storage: each factorial as a study."""
        return f"sqlite:///{self.root}/optuna.db"

    @property
    def log(self) -> Path:
        """What the workers have printed, tracebacks of crashes included."""
        return self.root / "workers.log"

    @property
    def checkpoints(self) -> Path:
        """Trained adapters and blocks, a folder per run key."""
        return self.root / "checkpoints"

    @property
    def lock(self) -> Path:
        """Held by the driver."""
        return self.root / "driver.lock"

    def report(self, study: str) -> Path:
        """The folder of a study's report."""
        return self.root / "reports" / _safe(study)

    def plan_file(self, study: str) -> Path:
        """The plan of a study that settles a claim, written before its first run."""
        return self.root / "plans" / f"{_safe(study)}.json"


def _safe(study: str) -> str:
    """A study's name as the name of a file."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in study)


def find_home(given: str | None) -> Home:
    """The home named on the command line, else by ``ABLATE_HOME``, else ``./ablate-home``."""
    return Home(Path(given or os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_HOME).absolute())


def check_writable(home: Home) -> None:
    """Refuse a home that cannot be made or written, without making it."""
    place = home.root
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise AblateError(f"{place} is a file, not a folder", place="home", value=home.root)
    if not os.access(place, os.W_OK | os.X_OK):
        raise AblateError(
            f"{place} cannot be written",
            place="home",
            value=home.root,
            hint="choose another folder with home=DIR",
        )


@contextmanager
def driver_lock(home: Home) -> Iterator[None]:
    """Hold the home for this process; the lock goes with the process, however it ends.

    Raises:
        AblateError: another driver has it, or the home cannot be written.
    """
    check_writable(home)
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        file = home.lock.open("a+", encoding="utf-8")
    except OSError as error:
        raise AblateError(
            f"cannot write {home.lock}: {error.strerror}",
            place="home",
            value=home.root,
            hint="choose another folder with home=DIR",
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise AblateError(
                f"another driver is at work on {home.root} (process {file.read().strip()})",
                place="home",
                hint="wait for it, or use another home=DIR",
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
