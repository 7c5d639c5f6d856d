"""The prefix softmax against a plain float64 sum, and its state."""

from __future__ import annotations

import pytest
import torch

from talan.controls import align, donor_times
from talan.memory import MASKED, TokenMemory, pooled_softmax, prefix_softmax
from tests.talan.cases import generator


def reference(scores, values):
    """slots[t] as a softmax over the tokens up to t, in float64."""
    scores, values = scores.double(), values.double()
    rows = []
    for t in range(scores.shape[1]):
        weights = scores[:, : t + 1].softmax(1)
        rows.append(weights.transpose(1, 2) @ values[:, : t + 1])
    return torch.stack(rows, dim=1)


def drawn(length, slots, spread=1.0, batch=3, inner=5):
    draw = generator(1)
    scores = spread * (2 * torch.rand(batch, length, slots, generator=draw) - 1)
    return scores, torch.randn(batch, length, inner, generator=draw)


@pytest.mark.parametrize("slots", [1, 4, 16])
@pytest.mark.parametrize("length", [1, 7, 16, 17, 53])
def test_slots_are_prefix_softmaxes(length, slots):
    scores, values = drawn(length, slots)
    slots_, _ = prefix_softmax(scores, values)
    torch.testing.assert_close(slots_.double(), reference(scores, values), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_large_scores_stay_exact(chunk):
    scores, values = drawn(60, 4, spread=50.0)
    scores[:, 0] = 50.0
    scores[:, 1:20] = -50.0
    scores[:, 40, 1] = 50.0
    slots, _ = prefix_softmax(scores, values, chunk=chunk)
    torch.testing.assert_close(slots.double(), reference(scores, values), rtol=2e-5, atol=2e-5)


def test_gradients_match_float64():
    scores, values = (each.requires_grad_() for each in drawn(37, 4, spread=20.0))
    weight = torch.randn(3, 37, 4, 5, generator=generator(2))
    found = torch.autograd.grad(
        (prefix_softmax(scores, values)[0] * weight).sum(), [scores, values]
    )
    wanted = torch.autograd.grad((reference(scores, values) * weight).sum(), [scores, values])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("split", [1, 16, 23])
def test_a_state_continues_where_the_sequence_stopped(split):
    scores, values = drawn(40, 4, spread=10.0)
    whole, end = prefix_softmax(scores, values)
    first, state = prefix_softmax(scores[:, :split], values[:, :split])
    second, last = prefix_softmax(scores[:, split:], values[:, split:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last.mass, end.mass)
    torch.testing.assert_close(last.mean, end.mean, rtol=1e-5, atol=1e-6)


def test_masked_tokens_weigh_nothing_wherever_they_are():
    scores, values = drawn(30, 4)
    hidden = torch.zeros(3, 30, dtype=torch.bool)
    hidden[0, :18] = True
    hidden[1, 5:9] = True
    hidden[2, 25:] = True
    masked = torch.where(hidden[..., None], MASKED, scores)
    noise = torch.where(hidden[..., None], 1e3, values)
    slots, _ = prefix_softmax(masked, noise)
    for row in range(3):
        seen = ~hidden[row]
        wanted = reference(scores[row : row + 1, seen], values[row : row + 1, seen])
        torch.testing.assert_close(slots[row, seen].double(), wanted[0], rtol=1e-5, atol=1e-6)
    assert torch.isfinite(slots).all()


def test_pooled_softmax_is_the_prefix_softmax_at_the_end():
    scores, values = drawn(21, 4)
    torch.testing.assert_close(
        pooled_softmax(scores, values).mean, prefix_softmax(scores, values)[0][:, -1]
    )


def test_an_empty_sequence_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        prefix_softmax(torch.zeros(1, 0, 2), torch.zeros(1, 0, 3))


def test_scores_hide_padding_and_keep_the_rest():
    memory = TokenMemory(8, 4, 3, generator())
    tokens = torch.randn(2, 5, 4, generator=generator(1))
    visible = torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.bool)
    scores = memory.scores(tokens, visible)
    assert (scores[~visible] == MASKED).all()
    torch.testing.assert_close(scores[visible], (tokens[visible] @ memory.queries.T) / 2)


def test_donor_times_count_valid_tokens_on_both_sides():
    receiver = torch.tensor([[0, 0, 1, 1, 1, 1]], dtype=torch.bool)
    donor = torch.tensor([[0, 1, 1, 0, 1, 0]], dtype=torch.bool)
    assert donor_times(receiver, donor)[0, 2:].tolist() == [1, 2, 4, 4]
    slots = torch.arange(6.0).view(1, 6, 1, 1)
    assert align(slots, receiver, donor)[0, 2:, 0, 0].tolist() == [1, 2, 4, 4]
