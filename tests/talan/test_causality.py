"""No token sees a later one, and padding is never seen, for every level of every axis."""

from __future__ import annotations

import pytest
import torch

import talan
import talan.block
from talan.block import Call
from talan.errors import TalanError
from tests.talan.cases import (
    ARCHITECTURES,
    CASES,
    VOCABULARY,
    attached,
    backbone,
    prompt_of,
    tokens,
)

LENGTH = 37  # more than two chunks of the prefix softmax, and no multiple of one
PREFIXES = (1, 3, 7, 8, 15, 16, 17, 23, 32, 36)
PROMPT = 11


def leak(model, handle: talan.Handle, prefix: int, *, only_next: bool = False) -> float:
    """Largest change of a logit before `prefix` when tokens from `prefix` on change."""
    ids = tokens(2, LENGTH)
    other = ids.clone()
    end = prefix + 1 if only_next else LENGTH
    other[:, prefix:end] = (other[:, prefix:end] + 7) % VOCABULARY
    with torch.no_grad(), prompt_of(handle, 2, PROMPT):
        before, after = model(ids).logits, model(other).logits
    assert (before - after)[:, prefix:].abs().max() > 1e-3  # the change is felt where it may be
    return (before - after)[:, :prefix].abs().max().item()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_causal_under_prompt(architecture):
    model = backbone(architecture)
    with attached(model, talan.TalanConfig(conditioning="prompt")) as handle:
        assert max(leak(model, handle, prefix) for prefix in (5, 17, 36)) < 1e-6


def test_the_probe_catches_a_memory_of_the_whole_sequence(qwen3, monkeypatch):
    def whole(scores, values, state, segments):
        pooled = talan.block.pooled_softmax(scores, values).mean
        return pooled[:, None].expand(-1, scores.shape[1], -1, -1), None

    monkeypatch.setattr(talan.block, "prefix_softmax", whole)
    with attached(qwen3, talan.TalanConfig()) as handle:
        assert leak(qwen3, handle, 17) > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_logits_have_no_gradient_at_later_embeddings(qwen3, name):
    embeddings = qwen3.get_input_embeddings()(tokens(2, LENGTH)).detach().requires_grad_()
    with attached(qwen3, CASES[name]) as handle, prompt_of(handle, 2, PROMPT):
        logits = qwen3(inputs_embeds=embeddings).logits
        for t in (4, 18):
            (gradient,) = torch.autograd.grad(logits[:, t].sum(), embeddings, retain_graph=True)
            assert (gradient[:, t + 1 :] == 0).all()
            assert gradient[:, t].abs().sum() > 0


def test_the_block_reaches_back_beyond_its_own_token(qwen3):
    stream = torch.randn(1, LENGTH, 32, requires_grad=True)
    with attached(qwen3, talan.TalanConfig()) as handle:
        change = handle.block.change(stream)
        (gradient,) = torch.autograd.grad(change[:, 30].sum(), stream)
    assert (gradient[:, :31].abs().sum(-1) > 0).all()


def test_prompt_conditioning_writes_from_the_last_prompt_token_on(qwen3):
    config = talan.TalanConfig(conditioning="prompt")
    with attached(qwen3, config) as handle:
        change = handle.block.change(torch.randn(3, 12, 32), Call(prompt=torch.tensor([1, 5, 12])))
    written = (change != 0).any(-1)
    assert [row.nonzero()[0].item() for row in written] == [0, 4, 11]
    assert all(row[first:].all() for row, first in zip(written, (0, 4, 11), strict=True))


def run(model, rows, pad_left: int, pad_right: int):
    """Logits of ragged `rows` in one batch, padded to one length on the given sides."""
    longest = max(len(row) for row in rows)
    ids, mask, positions = [], [], []
    for row in rows:
        left = pad_left + (longest - len(row) if pad_left else 0)
        right = pad_right + (longest - len(row) if not pad_left else 0)
        ids.append(torch.cat([torch.full((left,), 1), row, torch.full((right,), 2)]))
        mask.append(torch.tensor([0] * left + [1] * len(row) + [0] * right))
    mask = torch.stack(mask)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = model(torch.stack(ids), attention_mask=mask, position_ids=positions).logits
    return [logits[i][mask[i].bool()] for i in range(len(rows))]


@pytest.mark.parametrize("name", CASES)
def test_padding_changes_no_valid_logit(qwen3, name):
    rows = [tokens(1, length, seed=length)[0] for length in (21, 9, 34)]
    shuffled = CASES[name].control == "shuffled"
    with attached(qwen3, CASES[name]) as handle:
        with prompt_of(handle, 3, 6):
            left, right, both = (
                run(qwen3, rows, 5, 0),
                run(qwen3, rows, 0, 5),
                run(qwen3, rows, 3, 4),
            )
        if not shuffled:  # a row alone has nobody to take the memory of
            with prompt_of(handle, 1, 6):
                alone = [run(qwen3, [row], 0, 0)[0] for row in rows]
    for i in range(3):
        torch.testing.assert_close(left[i], right[i], rtol=0, atol=2e-5)
        torch.testing.assert_close(both[i], right[i], rtol=0, atol=2e-5)
        if not shuffled:
            torch.testing.assert_close(right[i], alone[i], rtol=0, atol=2e-5)


def test_a_missing_mask_means_all_valid(qwen3):
    ids = tokens(2, 13)
    with attached(qwen3, talan.TalanConfig()):
        assert torch.equal(
            qwen3(ids).logits, qwen3(ids, attention_mask=torch.ones_like(ids)).logits
        )


def test_padding_may_hold_anything(qwen3):
    stream = torch.randn(2, 9, 32)
    valid = torch.ones(2, 9, dtype=torch.bool)
    valid[0, :3] = False
    with attached(qwen3, talan.TalanConfig()) as handle:
        clean = handle.block.change(stream, Call(valid=valid))
        stream[0, :3] = float("nan")
        dirty = stream.clone().requires_grad_()
        change = handle.block.change(dirty, Call(valid=valid))
        change.sum().backward()
    assert torch.equal(change, clean)
    assert (change[0, :3] == 0).all()
    assert torch.isfinite(dirty.grad).all()
    assert all(torch.isfinite(each.grad).all() for each in handle.parameters())


def test_shuffled_memory_comes_from_the_next_row_only(qwen3):
    stream = torch.randn(3, 9, 32)
    with attached(qwen3, talan.TalanConfig(control="shuffled", writeback="add")) as handle:
        before = handle.block.change(stream)
        other = stream.clone()
        other[1, :8] += 1.0  # the last token, whose own query it also is, stays
        after = handle.block.change(other)
    same = (before == after).all(-1)
    assert not same[0].any()
    assert same[1, 8]
    assert same[2].all()


@pytest.mark.parametrize("conditioning", ["causal", "prompt"])
def test_stored_donors_give_what_the_next_row_gives(qwen3, conditioning):
    ids = tokens(3, 15)
    mask = torch.ones_like(ids)
    mask[1, 11:] = 0
    config = talan.TalanConfig(control="shuffled", conditioning=conditioning)
    with attached(qwen3, config) as handle, torch.no_grad(), handle.prompt([15, 11, 15]):
        wanted = qwen3(ids, attention_mask=mask).logits
        handle.block.eval()
        donors = handle.collect_donors(ids, mask)
        with handle.donor(donors.select(torch.tensor([1, 2, 0]))):
            found = qwen3(ids, attention_mask=mask).logits
        with handle.donor(donors):
            own = qwen3(ids, attention_mask=mask).logits
    torch.testing.assert_close(found[mask.bool()], wanted[mask.bool()], rtol=0, atol=1e-5)
    assert not torch.allclose(own[mask.bool()], wanted[mask.bool()], atol=1e-3)


def test_shuffled_says_what_it_needs(qwen3):
    with attached(qwen3, talan.TalanConfig(control="shuffled")) as handle:
        with pytest.raises(TalanError, match="this batch has one row; train with a batch"):
            qwen3(tokens(1, 5))
        handle.block.eval()
        with pytest.raises(TalanError, match=r"needs donors in evaluation; .*handle.donor"):
            qwen3(tokens(2, 5))


def test_static_memory_ignores_the_sequence(qwen3):
    with attached(qwen3, talan.TalanConfig(control="static", memory=1)) as handle:
        change = handle.block.change(torch.randn(2, 9, 32))
    torch.testing.assert_close(change, change[:1, :1].expand_as(change))


def test_prompt_conditioning_asks_for_lengths(qwen3):
    with attached(qwen3, talan.TalanConfig(conditioning="prompt")) as handle:
        with pytest.raises(TalanError, match="needs the lengths of the prompts"):
            qwen3(tokens(2, 5))
        wanted = "prompt: 3 entries for a batch of 2 rows"
        with pytest.raises(TalanError, match=wanted), handle.prompt([2, 2, 2]):
            qwen3(tokens(2, 5))
        for wrong in ([0, 2], [1.5, 2.0], 3):
            with pytest.raises(TalanError, match="are no prompt lengths"), handle.prompt(wrong):
                pass


def test_other_masks_are_refused(qwen3):
    with attached(qwen3, talan.TalanConfig()), pytest.raises(TalanError, match="must be 2-D"):
        qwen3(tokens(1, 6), attention_mask=torch.ones(1, 1, 6, 6, dtype=torch.bool))
