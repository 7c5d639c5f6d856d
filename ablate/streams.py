"""Named random streams. All randomness of a run comes from here, keyed by its pair.

Two arms of a pair ask for the same names and so get the same numbers; the block has names of its
own, so that attaching it shifts nothing that the baseline draws.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(pair: dict[str, Any], name: str) -> int:
    """A 63-bit seed for the stream ``name`` of ``pair`` (BLAKE2b of their canonical JSON)."""
    text = json.dumps([pair, name], sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def numpy_stream(pair: dict[str, Any], name: str) -> np.random.Generator:
    """The stream ``name`` as a numpy generator."""
    return np.random.default_rng(stream_seed(pair, name))


def torch_stream(pair: dict[str, Any], name: str) -> torch.Generator:
    """The stream ``name`` as a torch generator on the CPU."""
    import torch

    return torch.Generator().manual_seed(stream_seed(pair, name))
