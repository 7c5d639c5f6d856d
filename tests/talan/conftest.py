from __future__ import annotations

import pytest
import torch

from tests.talan.cases import backbone


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def qwen3():
    """A shared tiny backbone: tests attach to it and detach again."""
    return backbone("qwen3")
