"""Entropies, gate and scale of blocks whose attention is known."""

from __future__ import annotations

import math

import pytest
import torch

import talan
from talan.probe import probe
from talan.probe.slots import entropy
from tests.talan.probe.inputs import padded, ragged, side_path


def test_entropy_counts_no_weight_as_nothing():
    weights = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [1 / 3] * 3], dtype=torch.float64)
    assert entropy(weights).tolist() == pytest.approx([math.log(2), 0, math.log(3)])


def measured(config, change=None, lengths=(5, 9, 7), **how):
    with side_path(config) as handle:
        if change is not None:
            with torch.no_grad():
                change(handle.block)
        result = probe(handle, {"sums": padded(ragged(1, lengths), **how)}, n_random=1)
    return result, lambda name: result.value(name, benchmark="sums")


def test_readers_without_a_preference_use_all_slots_alike():
    _, value = measured(talan.TalanConfig(), lambda block: block.reader.query.zero_())
    assert value("slot_usage_entropy") == pytest.approx(1)
    assert value("slot_attention_entropy") == pytest.approx(1)


def test_sharp_readers_spread_over_slots_are_told_from_blunt_ones():
    def sharpen(block):
        block.reader.query.mul_(1e4)

    _, value = measured(talan.TalanConfig(memory=4, mixer="none"), sharpen)
    # At the first token of the 3 prompts, of 21 tokens, all slots are that token: no preference.
    assert value("slot_attention_entropy") == pytest.approx(3 / 21, abs=0.02)
    assert value("slot_usage_entropy") > 0.5


def test_queries_without_a_preference_make_each_slot_the_mean():
    def blunt(block):
        block.memory.queries.zero_()

    for conditioning in ("causal", "prompt"):
        for side in ("left", "right"):
            config = talan.TalanConfig(conditioning=conditioning)
            _, value = measured(config, blunt, side=side)
            assert value("compress_entropy") == pytest.approx(1)


def test_sharp_queries_select_one_token():
    _, value = measured(talan.TalanConfig(), lambda block: block.memory.queries.mul_(1e4))
    assert value("compress_entropy") < 0.05


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_follows_the_prompt_is_not_compressed(side):
    rows = ragged(1)
    longer = [torch.cat([row, row[:3]]) for row in rows]
    with side_path(talan.TalanConfig(conditioning="prompt")) as handle:
        alone, answered = (
            probe(handle, {"sums": prompts}, n_random=1).value("compress_entropy", benchmark="sums")
            for prompts in (padded(rows), padded(longer, side=side, lengths=(5, 9, 7)))
        )
    assert answered == pytest.approx(alone, rel=1e-5)


def test_a_prompt_of_one_token_has_no_entropy_of_compress():
    _, value = measured(talan.TalanConfig(), lengths=(1, 1))
    assert math.isnan(value("compress_entropy"))
    _, value = measured(
        talan.TalanConfig(), lambda block: block.memory.queries.zero_(), lengths=(1, 4)
    )
    assert value("compress_entropy") == pytest.approx(1)


def test_gate_and_scale():
    result, _ = measured(talan.TalanConfig(), lambda block: block.writeback.gate.fill_(-0.3))
    assert result.value("gate") == pytest.approx(math.tanh(-0.3))
    assert math.isnan(result.value("scale"))
    result, _ = measured(talan.TalanConfig(control="random", writeback="add"))
    assert result.value("scale") == pytest.approx(0.7)
    assert math.isnan(result.value("gate"))
