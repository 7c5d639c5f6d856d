"""The measures on streams that are written down, where every value is known."""

from __future__ import annotations

import math

import pytest
import torch

from talan.probe import curves
from talan.probe.streams import Pass
from talan.probe.sums import Reference, Sums, divergence
from tests.talan.cases import generator


def random_streams(seed, tokens=6, width=5, layers=3):
    draw = generator(seed)
    return [torch.randn(tokens, width, generator=draw) for _ in range(layers)]


def sums_of(without, with_block, base=None, logits=(None, None)):
    sums = Sums()
    reference = Reference(Pass(without, logits[0]), None if base is None else Pass(base, None))
    sums.add(reference, Pass(with_block, logits[1]))
    return sums


def test_a_perturbation_that_doubles_the_stream_has_size_one():
    streams = random_streams(1)
    sums = sums_of(streams, [2 * each for each in streams])
    assert curves.rel_diff(sums).tolist() == pytest.approx([1, 1, 1])
    assert curves.rel_diff_tokens(sums).tolist() == pytest.approx([1, 1, 1])


def test_pooled_and_per_token_sizes_differ_where_norms_do():
    without = [torch.tensor([[1.0, 0.0], [0.0, 10.0]])]
    sums = sums_of(without, [torch.tensor([[2.0, 0.0], [0.0, 10.0]])])
    assert curves.rel_diff(sums).item() == pytest.approx(1 / math.sqrt(101))
    assert curves.rel_diff_tokens(sums).item() == pytest.approx(0.5)


@pytest.mark.parametrize("factor", [2.0, -0.5])
def test_a_perturbation_along_the_update_has_cosine_one(factor):
    base, update = random_streams(1), random_streams(2)
    without = [b + u for b, u in zip(base, update, strict=True)]
    varied = [w + factor * u for w, u in zip(without, update, strict=True)]
    sums = sums_of(without, varied, base)
    sign = math.copysign(1, factor)
    assert curves.update_ratio(sums).tolist() == pytest.approx([1 / abs(factor)] * 3, rel=1e-5)
    assert curves.cosine_tokens(sums).tolist() == pytest.approx([sign] * 3, rel=1e-5)
    assert curves.cosine_mean(sums).tolist() == pytest.approx([sign] * 3, rel=1e-5)


def test_the_two_cosines_differ_where_directions_cancel():
    update = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    change = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    sums = sums_of([update], [update + change], [torch.zeros(2, 2)])
    assert curves.cosine_tokens(sums).item() == pytest.approx(math.sqrt(0.5))
    assert curves.cosine_mean(sums).item() == pytest.approx(1)


def test_a_token_without_a_perturbation_has_no_cosine():
    update = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    change = torch.tensor([[0.5, 0.0], [0.0, 0.0]])
    sums = sums_of([update], [update + change], [torch.zeros(2, 2)])
    assert curves.cosine_tokens(sums).item() == pytest.approx(1)


def test_zero_over_zero_is_undefined():
    streams = random_streams(1)
    same = sums_of(streams, streams, random_streams(2))
    assert curves.rel_diff(same).tolist() == [0, 0, 0]
    for measure in curves.NEEDS_ADAPTER:
        assert curves.LAYERWISE[measure](same).isnan().all()
    assert math.isnan(curves.amplification(curves.rel_diff(same), 1))
    nothing = [torch.zeros(6, 5)]
    assert curves.rel_diff(sums_of(nothing, nothing)).isnan().all()
    assert curves.rel_diff_tokens(sums_of(nothing, nothing)).isnan().all()


def test_without_an_adapter_the_update_is_undefined():
    sums = sums_of(random_streams(1), random_streams(2))
    for measure in curves.NEEDS_ADAPTER:
        assert curves.LAYERWISE[measure](sums).isnan().all()


def test_a_stream_that_is_not_finite_shows():
    broken = random_streams(2)
    broken[1][3] = torch.nan
    sums = sums_of(random_streams(1), broken, random_streams(3))
    for take in curves.LAYERWISE.values():
        assert take(sums).isnan().tolist() == [False, True, False]


def test_batches_add_up():
    without, varied, base = (random_streams(seed) for seed in (1, 2, 3))
    whole = sums_of(without, varied, base)
    parts = Sums()
    for rows in (slice(0, 4), slice(4, 6)):
        cut = [[each[rows] for each in streams] for streams in (without, varied, base)]
        parts.add(Reference(Pass(cut[0], None), Pass(cut[2], None)), Pass(cut[1], None))
    for take in curves.LAYERWISE.values():
        torch.testing.assert_close(take(parts), take(whole))


def test_divergence_is_that_of_the_varied_from_the_plain_distribution():
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.9, 0.1])
    wanted = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert divergence(p.log()[None], q.log()[None]).item() == pytest.approx(wanted, rel=1e-6)
    sums = sums_of([torch.ones(1, 2)], [torch.ones(1, 2)], logits=(q.log()[None], p.log()[None]))
    assert curves.kl(sums) == pytest.approx(wanted, rel=1e-6)
    assert math.isnan(curves.kl(sums_of([torch.ones(1, 2)], [torch.ones(1, 2)])))


def curve(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_curves_of_one_shape_correlate_whatever_their_height():
    first = curve(0.1, 0.2, 0.4, 0.3)
    assert curves.curve_correlation(first, 3 * first) == pytest.approx(1)
    assert curves.curve_correlation(first, 1 - first) == pytest.approx(-1)
    assert curves.curve_deviation(first, 3 * first) == pytest.approx(0.8)
    assert curves.curve_deviation_relative(first, 3 * first) == pytest.approx(1)


def test_the_largest_relative_deviation_need_not_be_the_largest():
    first, second = curve(0.1, 1.0, 2.0), curve(0.3, 1.0, 2.5)
    assert curves.curve_deviation(first, second) == pytest.approx(0.5)
    assert curves.curve_deviation_relative(first, second) == pytest.approx(1)


def test_curves_without_shape_have_no_correlation():
    assert math.isnan(curves.curve_correlation(curve(1, 2), curve(1, 3)))
    assert math.isnan(curves.curve_correlation(curve(0, 0, 0), curve(1, 2, 3)))
    assert math.isnan(curves.curve_deviation_relative(curve(0, 0), curve(0, 0)))
    assert curves.curve_deviation(curve(0, 0), curve(0, 0)) == 0
    assert curves.amplification(curve(0, 0.2, 0.3), 1) == pytest.approx(1.5)
