import pytest

from ablate.ledger import open_ledger
from ablate.progress import Quiet
from ablate.search.execute import Runs
from tests.ablate.test_executors import Inline

WORK = "tests.ablate.search.works:execute"


class Surface(Inline):
    """An executor in this process; after ``most`` runs it fails as an interrupt does."""

    def __init__(self, most=10**9):
        super().__init__()
        self.left = most

    def submit(self, specs, work=WORK):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        super().submit(specs, work)


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    """The file in which every run leaves a line."""
    monkeypatch.setenv("ABLATE_TEST_DIR", str(tmp_path))
    return tmp_path / "log"


@pytest.fixture
def ledger(tmp_path):
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def study(toys):
    """A function of settings that returns a study on the toys, its search small."""

    def make(**more):
        settings = {
            "axes": "none",
            "hp__lr": "3e-4..3e-2",
            "hp__rank": "2,4",
            "hp__alpha": "4",
            "hp__dropout": "0",
            "hp__steps": "2",
            "hp__weight_decay": "0",
            "hp__width": "4,8",
            "hp__lr_multiplier": "1",
            "search__trials": "6",
            "search__round": "2",
            "search__confirm": "3",
            **more,
        }
        return toys.study(**settings)

    return make


def runs_on(ledger, executor):
    """An ``Execute`` that shows nothing."""
    return Runs(ledger, executor, Quiet(), 100)
