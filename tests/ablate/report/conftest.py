import pytest

from ablate.report import Findings
from ablate.report.page import render
from tests.ablate.simulated import simulate

GAIN = {("memory=16", "recall"): 6.0, ("middle", "code"): -6.0}
LOST = {
    ("embedding/memory=4", "qwen3-tiny", 2): "diverged",
    ("early/memory=4", "llama-tiny", 0): "failed",
}


@pytest.fixture(scope="session")
def clean() -> Findings:
    return simulate(gain=GAIN, n_items=200)


@pytest.fixture(scope="session")
def controlled() -> Findings:
    return simulate(gain=GAIN | {("talan", "arithmetic"): 4.0}, controls=True, n_items=200)


@pytest.fixture(scope="session")
def troubled() -> Findings:
    return simulate(
        gain=GAIN, lost=LOST, n_items=200, exploratory=("seeds were added after a look",)
    )


@pytest.fixture(scope="session")
def page(clean: Findings) -> str:
    return render(clean, ())


@pytest.fixture(scope="session")
def troubled_page(troubled: Findings) -> str:
    return render(troubled, ())
