"""Scoring by one forward pass.

For a task with one fixed answer, greedy decoding gives exactly that answer if and only if the
arg-max of the teacher-forced logits is right at every answer position, the end token included: as
long as all earlier positions are right, both see the same prefix. So exact match needs no
generation (a test compares it with ``generate()``).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ablate.benchmarks import Item

if TYPE_CHECKING:
    from talan import Donors, Handle

BANK_SIZE = 64
"""Sequences in the bank of the control ``shuffled``."""

IGNORED = -100
"""The label of a position that enters neither the loss nor the score."""


@dataclass(frozen=True)
class Encoded:
    """An item as token ids: the prompt's, then the answer's with the end token."""

    ids: tuple[int, ...]
    n_prompt: int


@dataclass(frozen=True)
class Batch:
    """Right-padded token ids, mask and labels, each (B, T); ``prompt_lengths`` is (B,)."""

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor
    prompt_lengths: torch.Tensor


def encode(tokenizer: Any, items: Sequence[Item]) -> list[Encoded]:
    """Token ids of items: prompt and answer apart, so that no token spans their border."""
    prompts = tokenizer([item.prompt for item in items])["input_ids"]
    answers = tokenizer([item.answer for item in items], add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id
    return [
        Encoded((*prompt, *answer, end), len(prompt))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def collate(rows: Sequence[Encoded], pad: int) -> Batch:
    """Right-pad to the longest row; labels only on the answer and the end token."""
    width = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED)
    for i, row in enumerate(rows):
        tokens = torch.tensor(row.ids)
        ids[i, : len(tokens)] = tokens
        mask[i, : len(tokens)] = 1
        labels[i, row.n_prompt : len(tokens)] = tokens[row.n_prompt :]
    return Batch(ids, mask, labels, torch.tensor([row.n_prompt for row in rows]))


@dataclass(frozen=True)
class Bank:
    """Stored sequences that lend their memory to the control ``shuffled``.

    An item's donor is chosen by a hash of its token ids, so that a score depends neither on the
    batch nor on the other items.
    """

    donors: Donors

    def lend(self, rows: Sequence[Encoded]) -> Donors:
        """The donors of ``rows``, one each."""
        return self.donors.select(torch.tensor([self.donor_of(row) for row in rows]))

    def donor_of(self, row: Encoded) -> int:
        """The position in the bank of an item's donor."""
        prompt = ",".join(map(str, row.ids[: row.n_prompt])).encode()
        digest = hashlib.blake2b(prompt, digest_size=8).digest()
        return int.from_bytes(digest, "big") % len(self.donors)


def make_bank(
    handle: Handle, mix: Sequence[Sequence[Encoded]], pad: int, device: torch.device
) -> Bank:
    """A bank of ``BANK_SIZE`` training prompts, in equal shares of the benchmarks of the mix.

    The streams are those of the present weights, with the block bypassed; the first items of each
    benchmark are taken.
    """
    share = -(-BANK_SIZE // len(mix))
    prompts = [
        Encoded(row.ids[: row.n_prompt], row.n_prompt) for items in mix for row in items[:share]
    ]
    data = collate(prompts[:BANK_SIZE], pad)
    handle.model.eval()
    return Bank(handle.collect_donors(data.ids.to(device), data.mask.to(device)))


@contextlib.contextmanager
def block_inputs(
    handle: Handle | None, data: Batch, rows: Sequence[Encoded], bank: Bank | None
) -> Iterator[None]:
    """Tell the block what it cannot see in a batch: the prompts' lengths, and who lends."""
    with contextlib.ExitStack() as stack:
        if handle is not None and handle.config.conditioning == "prompt":
            stack.enter_context(handle.prompt(data.prompt_lengths))
        if handle is not None and bank is not None:
            stack.enter_context(handle.donor(bank.lend(rows)))
        yield


def token_logits(model: torch.nn.Module, data: Batch, device: torch.device) -> torch.Tensor:
    """The logits (B, T, V) at the tokens of a batch.

    Virtual tokens of prompt tuning lie before those of the text, and so do their logits; those of
    prefix tuning are keys and values alone, and have none.
    """
    logits: torch.Tensor = model(
        input_ids=data.ids.to(device), attention_mask=data.mask.to(device), use_cache=False
    ).logits
    return logits[:, logits.shape[1] - data.ids.shape[1] :]


def score_items(
    model: torch.nn.Module,
    rows: Sequence[Encoded],
    pad: int,
    device: torch.device,
    batch: int,
    handle: Handle | None = None,
    bank: Bank | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Per item: is the greedy answer exact, and the log-likelihood of the reference answer (nats).

    Rows are scored in order of length, so that little is padded; the result is in their own order.
    ``handle`` is that of the model's block, if it has one; ``bank`` lends under ``shuffled``.
    """
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids), i))
    correct = np.zeros(len(rows), dtype=bool)
    loglik = np.zeros(len(rows), dtype=np.float32)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            group = [rows[i] for i in chosen]
            data = collate(group, pad)
            with block_inputs(handle, data, group, bank):
                logits = token_logits(model, data, device)
            target = data.labels[:, 1:].to(device)
            where = target != IGNORED
            picked = logits[:, :-1][where].float()
            right = torch.ones(target.shape, dtype=torch.bool, device=device)
            right[where] = picked.argmax(-1) == target[where]
            token = torch.zeros(target.shape, device=device)
            token[where] = -torch.nn.functional.cross_entropy(
                picked, target[where], reduction="none"
            )
            correct[chosen] = right.all(1).cpu().numpy()
            loglik[chosen] = token.sum(1).cpu().numpy()
    return correct, loglik
