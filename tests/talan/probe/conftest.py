from __future__ import annotations

import pytest

from tests.talan.probe.inputs import trained


@pytest.fixture(scope="module")
def model():
    """Shared by tests that attach and detach."""
    return trained()
