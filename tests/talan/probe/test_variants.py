"""What takes the place of the block's change: random directions, mean slots, other memories."""

from __future__ import annotations

import math

import pytest
import torch

import talan
from talan.probe import Prompts, probe
from talan.probe.substitutions import rotations
from tests.talan.cases import WIDTH, generator
from tests.talan.probe.inputs import FEW, benchmarks, by_key, close, padded, ragged, side_path


def test_random_directions_keep_the_size_of_each_token_and_the_angles_between_them():
    change = torch.randn(2, 5, WIDTH, generator=generator(1))
    turns = rotations(3, WIDTH, generator(2))
    for turn in turns:
        turned = change @ turn.T
        torch.testing.assert_close(turned.norm(dim=-1), change.norm(dim=-1))
        torch.testing.assert_close(turned @ turned.mT, change @ change.mT, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(turns[0], turns[1], atol=0.1)
    again = rotations(3, WIDTH, generator(2))
    assert all(torch.equal(a, b) for a, b in zip(turns, again, strict=True))


def test_random_directions_are_uniform():
    draws = torch.stack(rotations(400, 3, generator(4)))
    first = draws[:, :, 0]
    # On the sphere in 3 dimensions each coordinate is uniform on (-1, 1): variance 1/3.
    assert first.mean(0).abs().max() < 4 * math.sqrt(1 / 3 / 400)
    assert (first.square().mean(0) - 1 / 3).abs().max() < 4 * math.sqrt(4 / 45 / 400)
    assert 0.4 < (torch.linalg.det(draws) > 0).double().mean() < 0.6


def test_random_rows_come_from_the_generator_and_nothing_else(model):
    with side_path(model=model) as handle:
        first, second, other = (
            probe(handle, benchmarks(), generator=generator(seed), **FEW) for seed in (1, 1, 2)
        )
    assert [repr(row) for row in first.rows] == [repr(row) for row in second.rows]
    for row, changed in zip(first.rows, other.rows, strict=True):
        if row.variant == "random" and row.measure == "kl":
            assert row.value != changed.value
        elif row.variant != "random" and row.measure != "amplification_over_random":
            assert repr(row) == repr(changed)


@pytest.mark.parametrize("memory", [1, 4])
def test_mean_slots_are_no_other_for_a_memory_that_ignores_the_sequence(memory, model):
    with side_path(talan.TalanConfig(control="static", memory=memory), model) as handle:
        result = probe(handle, benchmarks(), **FEW)
        values = by_key(result)
    for key, value in values.items():
        if key[4] == "static" and key[3] != "amplification_over_random":
            assert value == pytest.approx(values[*key[:4], "block", 0], rel=1e-5, nan_ok=True)


def test_mean_slots_weigh_prompts_and_benchmarks_alike(model):
    """Recomputed from the slots of each prompt alone; a block of one slot reads nothing else."""
    prompts = benchmarks()
    config = talan.TalanConfig(memory=1, mixer="none", writeback="add")
    with side_path(config, model) as handle:
        result = probe(handle, prompts, **FEW)
        handle.model.eval()
        means, size = [], {}
        for seed, lengths in ((1, (5, 9, 7)), (2, (8, 4, 6))):
            rows = []
            for row in ragged(seed, lengths):
                donors = handle.collect_donors(row[None])
                with torch.no_grad():
                    rows.append(handle.block.write(donors.stream, talan.Call()).slots.mean(1))
                size.setdefault(seed, []).append(donors.stream)
            means.append(torch.stack(rows).mean(0))
        mean = torch.stack(means).mean(0)[0, 0]
        change = (handle.block.projection.out @ mean).norm().item()
    streams = torch.cat([each[0] for each in size[1]])
    wanted = change * math.sqrt(len(streams)) / streams.norm().item()
    got = result.value("rel_diff", benchmark="sums", layer=handle.site, variant="static")
    assert got == pytest.approx(wanted, rel=1e-4)


def test_a_prompt_that_lends_to_itself_reads_what_it_read(model):
    prompts = {"sums": benchmarks()["sums"]}
    with side_path(model=model) as handle:
        values = by_key(probe(handle, prompts, donors=prompts["sums"], **FEW))
    for key, value in values.items():
        if key[4] == "shuffled" and key[3] != "amplification_over_random":
            own = values[*key[:4], "block", 0]
            assert value == pytest.approx(own, rel=1e-4, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("conditioning", ["causal", "prompt"])
def test_who_lends_to_whom(conditioning, model):
    config = talan.TalanConfig(conditioning=conditioning)
    first, second, bank = padded(ragged(1)), padded(ragged(2, (8, 4))), padded(ragged(3, (6,)))

    def rolled(prompts, order):
        index = torch.tensor(order)
        return Prompts(prompts.ids[index], prompts.mask[index])

    def shuffled(handle, prompts, donors=None):
        result = probe(handle, prompts, donors=donors, n_random=1)
        return result.curve("rel_diff", "first", "shuffled")

    with side_path(config, model) as handle:
        both = {"first": first, "second": second}
        assert shuffled(handle, both) == shuffled(handle, both, rolled(second, [0, 1, 0]))
        alone = {"first": first}
        assert shuffled(handle, alone) == shuffled(handle, alone, rolled(first, [1, 2, 0]))
        assert shuffled(handle, alone) != shuffled(handle, alone, first)
        assert shuffled(handle, both, bank) == shuffled(handle, alone, rolled(bank, [0, 0, 0]))


def test_under_prompt_conditioning_donors_lend_the_memory_of_their_prompt(model):
    rows = ragged(1)
    config = talan.TalanConfig(conditioning="prompt")
    with side_path(config, model) as handle:
        prompts = {"sums": padded(rows)}
        answered = padded([torch.cat([row, row[:2]]) for row in rows], lengths=(5, 9, 7))
        plain = probe(handle, prompts, donors=padded(rows), **FEW)
        close(plain, probe(handle, prompts, donors=answered, **FEW))
