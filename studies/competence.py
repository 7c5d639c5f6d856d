"""What a backbone can do before adaptation: exact match by skill and surface form."""

from collections import defaultdict
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from ablate.benchmarks import MAIN, Item, load_items
from studies.stream import IGNORE, encode


@torch.inference_mode()
def exact_matches(model: PreTrainedModel, items: Sequence[Item], rows: int = 250) -> list[bool]:
    """Whether the arg-max at every answer position, and at the end, is the expected token.

    This equals greedy generation followed by a comparison of texts. `rows` items go through the
    model at once, in order of length. The result is in the order of `items`.
    """
    right = [False] * len(items)
    order = sorted(range(len(items)), key=lambda i: len(items[i].prompt) + len(items[i].answer))
    for start in range(0, len(order), rows):
        chosen = order[start : start + rows]
        batch = encode([[(items[i].prompt, items[i].answer)] for i in chosen])
        logits = model(input_ids=batch.ids, use_cache=False).logits
        hits = (logits.argmax(-1) == batch.expected) | (batch.expected == IGNORE)
        for i, hit in zip(chosen, hits.all(dim=1).tolist(), strict=True):
            right[i] = hit
    return right


def competence(model: PreTrainedModel, splits: Sequence[str]) -> dict[tuple[str, str], float]:
    """Exact match in [0, 1] by (skill, form) on held-out items.

    The pre-training forms are those of the retention benchmark, whose ids name skill and form; the
    form "target" stands for all forms of the four main benchmarks.
    """
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for split in splits:
        for item in load_items("retention", split):
            _, _, skill, form, _ = item.id.split("-")
            groups[skill, form].append(item)
        for skill in MAIN:
            groups[skill, "target"].extend(load_items(skill, split))
    shares = {}
    for group, items in groups.items():
        right = exact_matches(model, items)
        shares[group] = sum(right) / len(right)
    return shares
