"""What a run returns: scores per benchmark with their items, cost, and how it ended."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DONE, DIVERGED = "done", "diverged"


@dataclass(frozen=True)
class Score:
    """One run on one benchmark.

    ``correct`` (bool, one per item) and ``loglik`` (float32, natural log-likelihood of the
    reference answer, one per item) are in the order of the benchmark's items.
    """

    benchmark: str
    digest: str
    correct: NDArray[np.bool_]
    loglik: NDArray[np.float32]

    @property
    def n_items(self) -> int:
        """Number of items scored."""
        return len(self.correct)

    @property
    def score(self) -> float:
        """Share of items answered exactly, 0 to 1."""
        return int(self.correct.sum()) / len(self.correct)

    @property
    def mean_loglik(self) -> float:
        """Mean log-likelihood of the reference answer, in nats per item."""
        return float(self.loglik.mean(dtype=np.float64))

    def loglik_is_finite(self) -> bool:
        """False where the model's logits were NaN or infinite."""
        return bool(np.isfinite(self.loglik).all())

    def pack(self) -> bytes:
        """The items as compressed bytes: packed bits, then little-endian float32."""
        body = np.packbits(self.correct).tobytes() + self.loglik.astype("<f4").tobytes()
        return zlib.compress(body, 6)

    @classmethod
    def unpack(cls, benchmark: str, digest: str, n_items: int, data: bytes) -> Score:
        """The inverse of :meth:`pack`."""
        body = zlib.decompress(data)
        split = (n_items + 7) // 8
        bits = np.unpackbits(np.frombuffer(body[:split], np.uint8))[:n_items]
        return cls(benchmark, digest, bits.astype(bool), np.frombuffer(body[split:], "<f4"))


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds, the process's peak memory in MB, trainable parameters."""

    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    peak_mb: float = 0.0
    adapter_parameters: int = 0
    block_parameters: int = 0


@dataclass(frozen=True)
class RunResult:
    """The outcome of one run. A diverged run has a reason and no scores."""

    key: str
    outcome: str
    reason: str
    scores: tuple[Score, ...]
    cost: Cost
    losses: tuple[float, ...]
    environment: dict[str, str]

    def to_json(self) -> str:
        """One line of JSON, read back by :meth:`from_json` (for the pipe to the driver)."""
        scores = [
            [s.benchmark, s.digest, s.n_items, base64.b64encode(s.pack()).decode()]
            for s in self.scores
        ]
        data: dict[str, Any] = {
            "key": self.key,
            "outcome": self.outcome,
            "reason": self.reason,
            "scores": scores,
            "cost": asdict(self.cost),
            "losses": [repr(loss) for loss in self.losses],
            "environment": self.environment,
        }
        return json.dumps(data)

    @classmethod
    def from_json(cls, text: str) -> RunResult:
        """The inverse of :meth:`to_json`."""
        data = json.loads(text)
        scores = tuple(
            Score.unpack(name, digest, n, base64.b64decode(body))
            for name, digest, n, body in data["scores"]
        )
        return cls(
            **data
            | {
                "scores": scores,
                "cost": Cost(**data["cost"]),
                "losses": tuple(float(loss) for loss in data["losses"]),
            }
        )
