"""The probe on tiny models: values computed a second way, and what must not change them."""

from __future__ import annotations

import math
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

import talan
from talan.errors import TalanError
from talan.probe import COLUMNS, MEASURES, VARIANTS, Prompts, probe
from talan.probe.curves import LAYERWISE, NEEDS_ADAPTER
from tests.talan.cases import (
    CASES,
    LAYERS,
    adapted,
    awaken,
)
from tests.talan.probe.inputs import (
    FEW,
    benchmarks,
    by_key,
    close,
    padded,
    ragged,
    side_path,
    trained,
)
from tests.talan.probe.test_streams import hooks_of

SITES = {"embedding": 0, "early": 1, "middle": 2, "late": 3}


def hidden_states(handle, prompts):
    """States 0..L-1 of the valid tokens, in transformers' own way."""
    with torch.no_grad(), handle.prompt(prompts.counts):
        output = handle.model.eval()(
            prompts.ids, attention_mask=prompts.mask, output_hidden_states=True, use_cache=False
        )
    return [state[prompts.valid] for state in output.hidden_states[:-1]]


@pytest.mark.parametrize("level", SITES)
def test_the_curve_starts_at_the_site_with_the_size_of_the_change(level, model):
    prompts = benchmarks()
    with side_path(talan.TalanConfig(insertion=level), model) as handle:
        result = probe(handle, prompts, **FEW)
        handle.model.eval()
        site = handle.site
        assert (result.site, result.layers) == (SITES[level], LAYERS)
        for name, given in prompts.items():
            before = handle.collect_donors(given.ids, given.mask)
            with torch.no_grad():
                change = handle.block.change(before.stream, talan.Call(valid=before.valid))
            valid = given.valid
            wanted = change[valid].norm() / before.stream[valid].norm()
            per_token = (change[valid].norm(dim=-1) / before.stream[valid].norm(dim=-1)).mean()
            curve = result.curve("rel_diff", name)
            assert curve[:site] == [0.0] * site
            assert curve[site] == pytest.approx(wanted.item(), rel=1e-5)
            assert all(value > 0 for value in curve[site:])
            got = result.value("rel_diff_tokens", benchmark=name, layer=site)
            assert got == pytest.approx(per_token.item(), rel=1e-5)
            for draw in range(2):
                random = result.curve("rel_diff", name, "random", draw)
                assert random[: site + 1] == pytest.approx(curve[: site + 1], rel=1e-5)
            assert result.value("amplification", benchmark=name) == pytest.approx(
                curve[-1] / curve[site]
            )


def test_layers_are_compared_with_the_same_checkpoint_without_block_and_without_adapter(model):
    prompts = benchmarks()["sums"]
    with side_path(model=model) as handle:
        result = probe(handle, {"sums": prompts}, **FEW)
        states = hidden_states(handle, prompts)
        with handle.disabled():
            without = hidden_states(handle, prompts)
        with handle.disabled(adapter=True):
            base = hidden_states(handle, prompts)
    for layer in range(LAYERS):
        change, update = states[layer] - without[layer], without[layer] - base[layer]
        values = {measure: result.curve(measure, "sums")[layer] for measure in LAYERWISE}
        relative = (change.norm() / without[layer].norm()).item()
        assert values["rel_diff"] == pytest.approx(relative, rel=1e-4)
        if layer < handle.site:
            assert all(math.isnan(values[measure]) for measure in NEEDS_ADAPTER)
            continue
        cosine = torch.nn.functional.cosine_similarity
        assert values["update_ratio"] == pytest.approx((update.norm() / change.norm()).item(), 1e-4)
        per_token = cosine(change, update).mean().item()
        assert values["cosine_tokens"] == pytest.approx(per_token, abs=1e-5)
        of_means = cosine(change.mean(0), update.mean(0), dim=0).item()
        assert values["cosine_mean"] == pytest.approx(of_means, abs=1e-5)


def test_the_effect_on_the_output_is_that_of_the_next_token(model):
    prompts = benchmarks()["sums"]
    with side_path(model=model) as handle:
        result = probe(handle, {"sums": prompts}, **FEW)
        handle.model.eval()
        each = []
        for row in ragged(1):
            with torch.no_grad():
                p = handle.model(row[None]).logits[0, -1].log_softmax(-1)
                with handle.disabled():
                    q = handle.model(row[None]).logits[0, -1].log_softmax(-1)
            each.append((p.exp() * (p - q)).sum().item())
    assert result.value("kl", benchmark="sums") == pytest.approx(sum(each) / 3, rel=1e-3)


@pytest.mark.parametrize("writeback", talan.AXES["writeback"].levels)
def test_a_block_at_its_start_does_nothing_and_has_no_ratios(writeback, model):
    with side_path(talan.TalanConfig(writeback=writeback), model, awake=False) as handle:
        result = probe(handle, benchmarks(), n_random=1)
    for row in result.rows:
        if row.measure in ("rel_diff", "rel_diff_tokens", "kl", "curve_deviation"):
            assert row.value == 0, row
        elif row.measure in NEEDS_ADAPTER or row.measure.startswith(("curve", "amplification")):
            assert math.isnan(row.value), row


@pytest.mark.parametrize("conditioning", ["causal", "prompt"])
@pytest.mark.parametrize("how", [{"side": "left"}, {"width": 13}, {"width": 11, "side": "left"}])
def test_padding_changes_nothing(conditioning, how, model):
    config = talan.TalanConfig(conditioning=conditioning)
    with side_path(config, model) as handle:
        close(probe(handle, benchmarks(), n_random=1), probe(handle, benchmarks(**how), n_random=1))


@pytest.mark.parametrize("case", ["default", "conditioning=prompt", "control=shuffled"])
def test_batches_change_nothing(case, model):
    with side_path(CASES[case], model) as handle:
        whole = probe(handle, benchmarks(), n_random=1)
        close(whole, probe(handle, benchmarks(), n_random=1, rows=2))


# Those that differ in training alone stand for each other.
MEASURED = [
    name
    for name in CASES
    if name
    not in ("scope=readout", "scope=adapter", "gradient_scale=0.1", "gradient_scale=10", "memory=3")
]


@pytest.mark.parametrize("case", MEASURED)
def test_every_level_and_control_is_measured(case, model):
    config = CASES[case]
    with side_path(config, model) as handle:
        result = probe(handle, benchmarks(), n_random=1)
    assert {row.measure for row in result.rows} == set(MEASURES)
    absent = {"shuffled"} if config.control in ("static", "shuffled") else set()
    assert absent == {name for name in VARIANTS if name in result.undefined}
    for measure in MEASURES.values():
        of = [row for row in result.rows if row.measure == measure.name]
        assert {row.variant for row in of} == (set(measure.variants) - absent or {""})
        assert {row.layer for row in of} == (
            set(range(LAYERS + 1)) if measure.per == "layer" else {None}
        )
        assert {(bool(row.benchmark), bool(row.other)) for row in of} == {
            (measure.per != "block", measure.per == "pair")
        }
        # The adapter has done nothing yet to the stream that enters the first layer.
        first = max(result.site, 1 if measure.name.startswith("cosine") else 0)
        defined = [row for row in of if measure.per != "layer" or row.layer >= first]
        gone = measure.name in result.undefined
        assert all(math.isnan(row.value) == gone for row in defined), measure.name
    entropies = [row.value for row in result.rows if row.measure.endswith("_entropy")]
    assert all(math.isnan(value) or 0 <= value <= 1 + 1e-9 for value in entropies)


@pytest.mark.parametrize("kind", ["dora", "ia3", "prefix", "prompt", "none", "full"])
def test_adapters_of_each_kind_are_measured(kind):
    with side_path(model=trained(kind=kind)) as handle:
        prompts = {"sums": benchmarks(side="left")["sums"]}
        values = by_key(probe(handle, prompts, n_random=1))
        handle.model.eval()
        before = handle.collect_donors(prompts["sums"].ids, prompts["sums"].mask)
        with torch.no_grad():
            change = handle.block.change(before.stream, talan.Call(valid=before.valid))
        # Virtual tokens stand first in the stream, and are not counted.
        valid = prompts["sums"].valid
        width = valid.shape[1]
        change, stream = change[:, -width:][valid], before.stream[:, -width:][valid]
        wanted = (change.norm() / stream.norm()).item()
    for (_, _, layer, measure, _, _), value in values.items():
        if measure in NEEDS_ADAPTER and layer >= 1:
            assert math.isnan(value) == (kind in ("none", "full"))
    site = values["sums", "", 1, "rel_diff", "block", 0]
    assert site == pytest.approx(wanted, rel=1e-5)
    assert values["sums", "", 1, "rel_diff", "random", 0] == pytest.approx(site, rel=1e-5)


# Capture is tested on every backbone; these differ in what a layer takes and gives.
@pytest.mark.parametrize("architecture", ["qwen3-moe", "gemma2", "gpt2"])
def test_backbones_of_each_kind_are_measured(architecture):
    model = adapted(architecture, train=False)
    with side_path(model=model) as handle:
        result = probe(handle, {"recall": benchmarks()["recall"]}, n_random=1)
    curve = result.curve("rel_diff", "recall")
    assert curve[0] == 0
    assert all(0 < value < 100 for value in curve[1:])


def test_half_precision_is_measured_in_float32():
    model = adapted(model=None, train=False).to(torch.bfloat16)
    with side_path(model=model) as handle:
        result = probe(handle, benchmarks(), **FEW)
        assert result.dtype == "bfloat16"
        assert result.value("rel_diff", benchmark="sums", layer=0) == 0
        assert result.value("rel_diff", benchmark="sums", layer=1) > 0


def snapshot(handle):
    model = handle.model
    return (
        {module: module.training for module in model.modules()},
        {name: each.requires_grad for name, each in model.named_parameters()},
        {name: each.clone() for name, each in model.state_dict().items()},
        hooks_of(model),
        torch.is_grad_enabled(),
        torch.random.get_rng_state(),
    )


@pytest.mark.parametrize(("kind", "fails"), [("lora", False), ("lora", True), ("full", False)])
def test_the_model_is_afterwards_as_it_was(kind, fails):
    prompts = benchmarks()
    if fails:
        prompts["broken"] = Prompts(torch.full((2, 4), 10**6), torch.ones(2, 4))
    with side_path(model=adapted(kind=kind)) as handle:
        handle.model.train()
        handle.decoder.layers[2].eval()
        before = snapshot(handle)
        with pytest.raises(IndexError) if fails else nullcontext():
            probe(handle, prompts, donors=None, **FEW)
        after = snapshot(handle)
    assert after[:2] == before[:2]
    assert all(torch.equal(after[2][name], each) for name, each in before[2].items())
    assert after[3:5] == before[3:5]
    assert torch.equal(after[5], before[5])


def test_an_error_amid_the_variants_leaves_no_substitution():
    with side_path() as handle:
        handle.model.eval()
        prompts = benchmarks()["sums"]
        with torch.no_grad():
            wanted = handle.model(prompts.ids, attention_mask=prompts.mask).logits
        calls = []

        def interrupt(module, args):
            calls.append(1)
            if len(calls) == 7:  # collect, without, base, block, static, shuffled, random
                raise KeyError

        hook = handle.decoder.layers[3].register_forward_pre_hook(interrupt)
        with pytest.raises(KeyError):
            probe(handle, {"sums": prompts}, **FEW)
        hook.remove()
        with torch.no_grad():
            again = handle.model(prompts.ids, attention_mask=prompts.mask).logits
    assert torch.equal(wanted, again)


def test_what_cannot_be_probed_is_refused():
    one = {"sums": padded(ragged(1, (5,)))}
    with side_path() as handle:
        for arguments, message in (
            (({},), "there is no benchmark"),
            (({"": one["sums"]},), "a benchmark has no name"),
        ):
            with pytest.raises(TalanError, match=message):
                probe(handle, *arguments)
        for name in ("n_random", "rows"):
            with pytest.raises(TalanError, match=f"probe.{name}: 0 is too few"):
                probe(handle, one, **{name: 0})
        result = probe(handle, one, **FEW)
        assert "one prompt only" in result.undefined["shuffled"]
        with pytest.raises(TalanError, match="one prompt only"):
            result.curve("rel_diff", "sums", "shuffled")
        with pytest.raises(TalanError, match="did you mean 'rel_diff'"):
            result.value("rel_dif", benchmark="sums", layer=0)
        second = talan.attach(handle.model, talan.TalanConfig(), name="second")
        with pytest.raises(TalanError, match="'default' is not active"):
            probe(handle, one)
        awaken(second)
        assert probe(second, one, **FEW).value("rel_diff", benchmark="sums", layer=1) > 0
        second.detach()
    with side_path(talan.TalanConfig(control="shuffled")) as handle:
        with pytest.raises(TalanError, match="there is one prompt"):
            probe(handle, one)
        assert probe(handle, one, donors=padded(ragged(2)), **FEW).value("scale") != 1


def test_a_result_is_a_tidy_table(model):
    with side_path(model=model) as handle:
        result = probe(handle, benchmarks(), **FEW)
    records = result.records()
    assert tuple(records[0]) == COLUMNS
    keys = [tuple(record[column] for column in COLUMNS[:-1]) for record in records]
    assert len(set(keys)) == len(keys)
    assert result.prompts == {"sums": 3, "recall": 3}
    assert result.tokens == {"sums": 21, "recall": 18}
    assert result.value("gate") == pytest.approx(0.5)
    assert ("sums", "recall") in {(row.benchmark, row.other) for row in result.rows}


def test_definitions_are_complete_and_stand_in_the_docstrings():
    from talan.probe import curves, slots

    for name, measure in MEASURES.items():
        function = getattr(curves, name, None) or getattr(slots, name)
        assert measure.text() in function.__doc__
        for part in (measure.formula, measure.tokens, measure.prompts, measure.dtype):
            assert part in measure.text()
        assert measure.source


def test_definitions_need_no_torch():
    code = (
        "import sys; from talan.probe import MEASURES, VARIANTS, Row, ProbeResult; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
