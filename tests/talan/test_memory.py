"""The prefix softmax against a plain float64 sum, and its state."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import talan
from talan.block import Block
from talan.controls import align, donor_times, ranks
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


def summed(scores, values):
    """The same by running sums: float64 holds e^-100 beside e^0, so no maximum is needed."""
    weights = (scores.double() - scores.double().amax()).exp()
    sums = (weights[..., None] * values.double()[:, :, None]).cumsum(1)
    return sums / weights.cumsum(1)[..., None]


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


LONG = 8192


def test_long_sequences_with_large_scores_stay_exact():
    scores, values = (each.requires_grad_() for each in drawn(LONG, 4, spread=50.0, batch=1))
    weight = torch.randn(1, LONG, 4, 5, generator=generator(2)) / LONG
    slots, _ = prefix_softmax(scores, values)
    wanted = summed(scores, values)
    torch.testing.assert_close(slots.double(), wanted, rtol=2e-5, atol=2e-5)
    found = torch.autograd.grad((slots * weight).sum(), [scores, values])
    exact = torch.autograd.grad((wanted * weight).sum(), [scores, values])
    for one, other in zip(found, exact, strict=True):
        assert (one - other).norm() < 1e-4 * other.norm()


def test_a_half_precision_stream_of_8k_tokens_keeps_the_accuracy_of_float32():
    block = Block(talan.TalanConfig(memory=4), 32, generator())
    with torch.no_grad():
        block.projection.out.normal_(generator=generator(5))
        block.memory.queries.mul_(16)  # scores up to about 50
        stream = (30 * torch.randn(1, LONG, 32, generator=generator(6))).bfloat16()
        made = block.write(stream, talan.Call())
        tokens = made.tokens
        scores = block.memory.scores(tokens, None)
        assert scores.abs().max() > 45
        wanted = summed(scores, tokens)
        found = block(stream)
        exact = stream + block.change(stream).to(torch.bfloat16)
    torch.testing.assert_close(made.slots.double(), wanted, rtol=2e-5, atol=2e-5)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, exact)


class Largest(TorchDispatchMode):
    """Records the largest number of entries of a tensor that an operation returns."""

    entries = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for each in out if isinstance(out, tuple | list) else [out]:
            if isinstance(each, torch.Tensor):
                self.entries = max(self.entries, each.numel())
        return out


def test_space_grows_with_the_length_and_not_with_its_square():
    def space(length):
        kept = []
        scores, values = (each.requires_grad_() for each in drawn(length, 4, batch=1))
        hooks = torch.autograd.graph.saved_tensors_hooks(
            lambda each: kept.append(each.untyped_storage().nbytes()) or each, lambda each: each
        )
        with Largest() as largest, hooks:
            prefix_softmax(scores, values)[0].sum().backward()
        return largest.entries, sum(kept)

    short, long = space(1024), space(LONG)
    assert long[0] <= 8.2 * short[0]
    assert long[1] <= 8.2 * short[1]
    pairs = 1024 * 1024  # what a mask over all pairs of tokens would hold
    assert short[0] < pairs / 4


@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_packed_sequences_are_as_if_apart(chunk):
    lengths = (7, 40, 1, 3, 150)
    scores, values = drawn(sum(lengths), 4, spread=20.0)
    segments = torch.repeat_interleave(torch.arange(5), torch.tensor(lengths)).expand(3, -1)
    slots, end = prefix_softmax(scores, values, segments=segments, chunk=chunk)
    parts = [
        prefix_softmax(one, other)
        for one, other in zip(scores.split(lengths, 1), values.split(lengths, 1), strict=True)
    ]
    torch.testing.assert_close(slots, torch.cat([part for part, _ in parts], 1))
    torch.testing.assert_close(end.mass, parts[-1][1].mass)
    torch.testing.assert_close(end.mean, parts[-1][1].mean)


def test_rows_may_be_packed_differently():
    scores, values = drawn(70, 4, batch=2)
    segments = torch.zeros(2, 70, dtype=torch.long)
    segments[0, 33:] = 1
    segments[1, 5:] = 1
    segments[1, 16:] = 2
    slots, _ = prefix_softmax(scores, values, segments=segments)
    torch.testing.assert_close(
        slots[1, 16:].double(), reference(scores[1:, 16:], values[1:, 16:])[0], rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        slots[0, 33:].double(), reference(scores[:1, 33:], values[:1, 33:])[0], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("steps", [(1, 99), (37, 63), (64, 35, 1), (99, 1)])
def test_chunked_prefill_of_any_sizes_gives_the_same(steps):
    scores, values = drawn(100, 4, spread=10.0)
    wanted, _ = prefix_softmax(scores, values)
    state, parts = None, []
    for one, other in zip(scores.split(steps, 1), values.split(steps, 1), strict=True):
        slots, state = prefix_softmax(one, other, state)
        parts.append(slots)
    torch.testing.assert_close(torch.cat(parts, 1), wanted, rtol=1e-5, atol=1e-6)


def test_a_pooled_softmax_goes_on_from_a_state():
    scores, values = drawn(30, 4, spread=10.0)
    whole = pooled_softmax(scores, values)
    state = pooled_softmax(scores[:, :11], values[:, :11])
    both = pooled_softmax(scores[:, 11:], values[:, 11:], state)
    torch.testing.assert_close(both.mean, whole.mean)
    torch.testing.assert_close(both.mass, whole.mass)


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


def test_ranks_start_anew_in_each_packed_sequence():
    valid = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 1]], dtype=torch.bool)
    segments = torch.tensor([[0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 1]])
    assert ranks(valid, segments).tolist() == [[0, 1, 2, 0, 1, 0], [0, 0, 0, 1, 1, 2]]
    assert ranks(valid)[1].tolist() == [0, 0, 1, 2, 2, 3]


def test_donor_times_count_valid_tokens_on_both_sides():
    receiver = torch.tensor([[0, 0, 1, 1, 1, 1]], dtype=torch.bool)
    donor = torch.tensor([[0, 1, 1, 0, 1, 0]], dtype=torch.bool)
    assert donor_times(receiver, donor)[0, 2:].tolist() == [1, 2, 4, 4]
    slots = torch.arange(6.0).view(1, 6, 1, 1)
    assert align(slots, receiver, donor)[0, 2:, 0, 0].tolist() == [1, 2, 4, 4]
