"""Full fine-tuning, as the arm that has no adapter at all."""

from ablate.adapters.registry import ADAPTERS, Adapter

FULL = ADAPTERS["full"] = Adapter(
    "full",
    recipe=1,
    build=None,
    help="every weight trains, there is no adapter; no rank, alpha, dropout; train.lr=2e-3",
    rank="",
    trainable_below=True,
)
"""It starts from the backbone's weights, so that arms and seeds start alike."""
