"""What every mixer and every writeback rule must honour; a plugin's are tested the same way."""

from __future__ import annotations

import pytest
import torch

import talan.block
from talan.axes import AXES
from talan.errors import TalanError
from talan.registry import MIXERS, WRITEBACKS, Shape, mixer
from talan.writeback import BOUND
from tests.talan.cases import generator


def test_every_shipped_level_is_registered():
    assert set(AXES["mixer"].levels) <= set(MIXERS)
    assert set(AXES["writeback"].levels) <= set(WRITEBACKS)


@pytest.mark.parametrize("name", sorted(MIXERS))
class TestMixerContract:
    @pytest.fixture(params=[1, 4, 16])
    def shape(self, request):
        return Shape(stream=12, inner=6, slots=request.param)

    @pytest.fixture
    def slots(self, shape):
        return torch.randn(2, 5, shape.slots, shape.inner, generator=generator(1))

    def test_shape_and_dtype(self, name, shape, slots):
        mixed = MIXERS[name](shape, generator())(slots)
        assert mixed.shape == slots.shape
        assert mixed.dtype == torch.float32

    def test_leading_indices_never_meet(self, name, shape, slots):
        layer = MIXERS[name](shape, generator())
        alone = torch.stack([torch.stack([layer(one) for one in row]) for row in slots])
        torch.testing.assert_close(layer(slots), alone)

    def test_gradients_reach_parameters_and_slots(self, name, shape, slots):
        layer = MIXERS[name](shape, generator())
        slots.requires_grad_()
        layer(slots).square().sum().backward()
        assert slots.grad.abs().sum() > 0
        # With one slot the attention's query and key have nothing to choose from.
        assert all(each.grad.abs().sum() > 0 for each in layer.parameters())

    def test_parameters_come_from_the_generator_alone(self, name, shape):
        before = torch.random.get_rng_state()
        first, second = (MIXERS[name](shape, generator(9)).state_dict() for _ in range(2))
        assert torch.equal(torch.random.get_rng_state(), before)
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_only_the_identity_leaves_slots_alone():
    slots = torch.randn(2, 4, 6, generator=generator(1))
    shape = Shape(12, 6, 4)
    same = {name for name in MIXERS if torch.equal(MIXERS[name](shape, generator())(slots), slots)}
    assert same == {"none"}


@pytest.mark.parametrize("name", sorted(WRITEBACKS))
class TestWritebackContract:
    @pytest.fixture
    def rule(self, name):
        return WRITEBACKS[name](Shape(stream=12, inner=6, slots=4), generator())

    @pytest.fixture
    def stream(self):
        stream = torch.randn(2, 5, 12, generator=generator(1))
        stream[1, 4] = 0.0
        return stream

    def test_no_perturbation_no_change(self, name, rule, stream):
        assert (rule(stream, torch.zeros_like(stream)) == 0).all()

    def test_gradient_flows_from_the_start(self, name, rule, stream):
        delta = torch.zeros_like(stream).requires_grad_()
        weight = torch.randn(stream.shape, generator=generator(2))
        (rule(stream, delta) * weight).sum().backward()
        assert (delta.grad.abs().sum(-1) > 0).all()

    def test_a_silent_start_sends_no_gradient_to_the_stream(self, name, rule, stream):
        stream.requires_grad_()
        change = rule(stream, torch.zeros_like(stream).requires_grad_())
        (gradient,) = torch.autograd.grad(change.sum(), stream, allow_unused=True)
        assert gradient is None or (gradient == 0).all()

    def test_tokens_never_meet(self, name, rule, stream):
        delta = torch.randn(stream.shape, generator=generator(2))
        alone = torch.stack([rule(s[None], d[None])[0] for s, d in zip(stream, delta, strict=True)])
        torch.testing.assert_close(rule(stream, delta), alone)

    def test_all_sizes_stay_finite(self, name, rule, stream):
        for size in (1e-8, 1e8):
            delta = size * torch.randn(stream.shape, generator=generator(2))
            assert torch.isfinite(rule(stream, delta)).all()


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e6])
def test_bounded_changes_less_than_its_bound(size):
    rule = WRITEBACKS["bounded"](Shape(12, 6, 4), generator())
    stream = torch.randn(200, 12, generator=generator(1))
    delta = size * torch.randn(200, 12, generator=generator(2))
    change = rule(stream, delta).double().norm(dim=-1)
    limit = BOUND * stream.double().norm(dim=-1)
    assert (change < limit * (1 + 1e-6)).all()  # float32 rounding at the limit
    wanted = delta.double() / (1 + (delta.double().norm(dim=-1) / limit) ** 2).sqrt()[:, None]
    torch.testing.assert_close(rule(stream, delta).double(), wanted, rtol=1e-5, atol=1e-7)


def test_bounded_keeps_small_perturbations():
    rule = WRITEBACKS["bounded"](Shape(12, 6, 4), generator())
    stream = torch.randn(50, 12, generator=generator(1))
    delta = 1e-5 * torch.randn(50, 12, generator=generator(2))
    torch.testing.assert_close(rule(stream, delta), delta, rtol=1e-5, atol=0)


def test_orthogonal_changes_across_the_stream_only():
    rule = WRITEBACKS["orthogonal"](Shape(12, 6, 4), generator())
    stream = torch.randn(50, 12, generator=generator(1))
    delta = torch.randn(50, 12, generator=generator(2))
    change = rule(stream, delta)
    along = (change * stream).sum(-1).abs()
    assert (along < 1e-5 * stream.norm(dim=-1) * delta.norm(dim=-1)).all()
    assert (change.norm(dim=-1) > 0.1 * delta.norm(dim=-1)).any()
    across = delta - stream * ((stream * delta).sum(-1) / stream.square().sum(-1))[:, None]
    torch.testing.assert_close(change, across)


def test_the_gate_starts_at_one_half():
    rule = WRITEBACKS["gate"](Shape(12, 6, 4), generator())
    assert torch.tanh(rule.gate).item() == pytest.approx(0.5, abs=1e-7)
    delta = torch.ones(1, 1, 12)
    torch.testing.assert_close(rule(delta, delta), delta / 2)


def test_a_plugin_declares_its_recipe(monkeypatch):
    monkeypatch.setitem(AXES, "mixer", AXES["mixer"])
    monkeypatch.delitem(MIXERS, "swap", raising=False)
    with pytest.raises(TalanError, match=r'declares no recipe version; write @mixer\("swap"'):
        mixer("swap")

    class Swap(torch.nn.Module):
        def __init__(self, shape, generator):
            super().__init__()

        def forward(self, slots):
            return slots.flip(-2)

    mixer("swap", recipe=1)(Swap)
    try:
        config = talan.TalanConfig(mixer="swap", memory=4)
        block = talan.block.Block(config, 12, generator())
        assert isinstance(block.mixer, Swap)
        assert talan.recipes(config)["mixer"] == 1
    finally:
        del MIXERS["swap"]
