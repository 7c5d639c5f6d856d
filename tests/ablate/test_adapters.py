"""Every adapter as an arm: paired, aligned, scored as it would generate, kept and loaded."""

import copy
import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTuner

import talan
from ablate import backbones, checkpoints
from ablate.adapters import ADAPTERS, find_adapter, refuse_unfit, register_adapter
from ablate.benchmarks import digest, load_items
from ablate.design import Arm
from ablate.errors import AblateError
from ablate.evaluate import Encoded, collate, encode, score_items, token_logits
from ablate.plan import PlannedRun, make_plan
from ablate.probing.run import gaps
from ablate.spec import Block, Hp, Part, RunSpec
from ablate.train import adapt, answer_loss, train
from ablate.worker import execute_one, fold_adapter, make_accelerator, peak_mb, reset_peak
from studies import learning_rates
from talan.config import canonical

KINDS = ("vera", "ia3", "prompt", "prefix", "full")
CPU = torch.device("cpu")


HP = Hp(4, 4, 2e-2, 2, 4.0, 0.1, 0.0, 1.0)
BLOCK = Block(1, 2, "mlp", "gate", "joint", 1.0, "causal", 4, 1.0)


@pytest.fixture(scope="module")
def base(toys):
    """The run of an adapter on the toys; what differs is replaced."""
    train, test = (
        Part("pairs", digest(str(toys.benchmark), split), str(toys.benchmark), split)
        for split in ("train", "test")
    )
    backbone = backbones.resolve(str(toys.backbone))
    return RunSpec(backbone, "", 1, 1, HP, (train,), None, 0, "cpu", "fp32", (test,))


def arms(base, adapter, seed=0):
    """(baseline, with block) of an adapter and seed."""
    spec = dataclasses.replace(base, adapter=adapter, seed=seed)
    return spec, dataclasses.replace(spec, block=BLOCK)


@pytest.fixture(scope="module")
def rows(base):
    _, tokenizer = backbones.load(base.backbone)
    return encode(tokenizer, load_items(base.mix[0].source, "train"))


def adapted(spec):
    model, _ = backbones.load(spec.backbone)
    return adapt(spec, model, backbones.adapter_targets(spec.backbone))


def start(made):
    """All that is not the block's: trained or not, buffers (VeRA's projections) included."""
    return {n: v for n, v in made.model.state_dict().items() if not n.startswith("talan.")}


@pytest.mark.parametrize("adapter", KINDS)
def test_arms_of_a_pair_start_bit_identical_and_seeds_do_not(base, adapter):
    baseline, block = (start(adapted(spec)) for spec in arms(base, adapter))
    other = start(adapted(arms(base, adapter, seed=1)[0]))
    assert baseline.keys() == block.keys() == other.keys()
    assert all(torch.equal(baseline[name], block[name]) for name in baseline)
    differ = [name for name in baseline if not torch.equal(baseline[name], other[name])]
    # Scales that start at 1, and the backbone's own weights, are no draws.
    assert bool(differ) == (adapter not in ("ia3", "full"))
    if adapter == "vera":
        assert all("vera_A" in name or "vera_B" in name for name in differ)


@pytest.mark.parametrize("adapter", KINDS)
def test_both_arms_train_from_one_loss_and_keep_the_backbone(base, rows, adapter):
    specs = arms(base, adapter)
    losses = []
    for spec in specs:
        made = adapted(spec)
        frozen = {n: p.clone() for n, p in made.model.named_parameters() if not p.requires_grad}
        before = [p.clone() for p in made.adapter]
        trained = train(spec, made, [rows], 0, make_accelerator("cpu", "fp32"))
        assert trained.reason == ""
        losses.append(trained.losses)
        assert all(torch.equal(p, frozen[n]) for n, p in made.model.named_parameters()
                   if n in frozen)  # fmt: skip
        moved = [not torch.equal(a, b) for a, b in zip(before, made.adapter, strict=True)]
        assert all(moved)
        assert bool(made.block) == (spec.block is not None)
    assert losses[0][0] == losses[1][0]
    assert losses[0][-1] != losses[1][-1]


def test_full_fine_tuning_has_no_adapter_and_trains_every_weight(base):
    spec = arms(base, "full")[1]
    made = adapted(spec)
    assert not isinstance(made.model, PeftModel)
    own = [p for n, p in made.model.named_parameters() if not n.startswith("talan.")]
    assert {id(p) for p in made.adapter} == {id(p) for p in own}
    assert sum(p.numel() for p in own) == backbones.n_parameters(
        backbones.Path(spec.backbone.source)
    )


@pytest.mark.parametrize("adapter", ["prompt", "prefix"])
@pytest.mark.parametrize("which", [0, 1], ids=["baseline", "block"])
def test_exact_match_by_one_forward_equals_generation(base, adapter, which):
    """Also behind virtual tokens, whose logits come first or not at all: what ``generate`` says is
    exactly right, and with one token changed it is wrong."""
    backbone = backbones.resolve("qwen3-tiny")
    made = adapted(dataclasses.replace(arms(base, adapter)[which], backbone=backbone))
    made.model.eval()
    _, tokenizer = backbones.load(backbone)
    right, wrong = [], []
    for i, row in enumerate(encode(tokenizer, load_items("recall", "validation")[:6])):
        prompt = torch.tensor([row.ids[: row.n_prompt]])
        out = made.model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=5,
            do_sample=False,
            eos_token_id=10_000,  # no token: an early end would be no other answer
            pad_token_id=0,
        )
        ids = out[0].tolist()
        assert len(ids) == row.n_prompt + 5
        right.append(Encoded(tuple(ids), row.n_prompt))
        ids[row.n_prompt + i % 5] += 1 if ids[row.n_prompt + i % 5] < 50 else -1
        wrong.append(Encoded(tuple(ids), row.n_prompt))
    said = {row.ids[row.n_prompt :] for row in right}
    assert max(len(set(answer)) for answer in said) > 2, "no alignment shows in a repeated token"
    correct, _ = score_items(made.model, right + wrong, 0, CPU, 12, made.handle)
    assert correct.tolist() == [True] * 6 + [False] * 6


@pytest.mark.parametrize("adapter", KINDS)
def test_logits_are_those_of_the_text(base, rows, adapter):
    """Another last token changes the logits at the last position, and at no other."""
    made = adapted(arms(base, adapter)[1])
    made.model.eval()
    data = collate(rows[:1], 0)
    changed = dataclasses.replace(data, ids=data.ids.clone())
    changed.ids[0, -1] = 11
    with torch.no_grad():
        a, b = (token_logits(made.model, each, CPU) for each in (data, changed))
    assert a.shape[:2] == data.ids.shape
    assert torch.equal(a[:, :-1], b[:, :-1])
    assert not torch.equal(a[:, -1], b[:, -1])


@pytest.mark.parametrize("adapter", KINDS)
def test_folding_changes_no_score_and_leaves_alone_what_is_no_update(base, rows, adapter):
    spec = arms(base, adapter)[1]
    made = adapted(spec)
    train(spec, made, [rows], 0, make_accelerator("cpu", "fp32"))
    apart = score_items(made.model, rows, 0, CPU, 16)
    before = {n: p.clone() for n, p in made.model.named_parameters()}
    fold_adapter(made.model)
    folded = score_items(made.model, rows, 0, CPU, 16)
    assert (apart[0] == folded[0]).all()
    torch.testing.assert_close(torch.tensor(apart[1]), torch.tensor(folded[1]))
    changed = any(not torch.equal(p, before[n]) for n, p in made.model.named_parameters())
    updates = isinstance(getattr(made.model, "base_model", None), BaseTuner)
    assert changed == updates == (adapter in ("vera", "ia3"))


@pytest.mark.parametrize("adapter", ["prompt", "prefix"])
def test_padding_does_not_change_scores(base, rows, adapter):
    made = adapted(arms(base, adapter)[1])
    together = score_items(made.model, rows, 0, CPU, 40)
    alone = score_items(made.model, rows, 0, CPU, 1)
    torch.testing.assert_close(torch.tensor(together[1]), torch.tensor(alone[1]))


@pytest.mark.parametrize("adapter", KINDS)
def test_the_checkpoint_of_a_run_computes_what_the_run_did(base, toys, tmp_path, adapter):
    spec = arms(base, adapter)[1]
    result = execute_one(spec, tmp_path)
    assert result.outcome == "done"
    place = checkpoints.find(tmp_path, spec.key)
    assert place is not None
    assert not list(place.rglob("*.bin")), "no pickle"
    model, tokenizer = backbones.load(spec.backbone)
    handle = talan.load(model, place)
    items = encode(tokenizer, load_items(str(toys.benchmark), "test"))
    _, loglik = score_items(handle.model, items, 0, CPU, 64, handle)
    torch.testing.assert_close(
        torch.tensor(loglik), torch.tensor(result.scores[0].loglik), rtol=1e-4, atol=1e-4
    )


def test_no_checkpoint_of_a_large_whole_model_is_kept_or_counted(base, tmp_path, monkeypatch):
    baseline, spec = arms(base, "full")
    size = 4 * backbones.n_parameters(backbones.Path(spec.backbone.source))
    assert not checkpoints.is_kept(baseline)
    assert checkpoints.expected_bytes(tmp_path, [spec]) == size
    monkeypatch.setattr(checkpoints, "LARGEST_MODEL_BYTES", size - 1)
    assert checkpoints.expected_bytes(tmp_path, [spec]) == 0
    assert checkpoints.is_kept(arms(base, "vera")[1])
    assert execute_one(spec, tmp_path).outcome == "done"
    assert checkpoints.find(tmp_path, spec.key) is None


def test_the_probe_says_why_a_large_whole_model_was_not_probed(base, tmp_path, monkeypatch):
    spec = arms(base, "full")[1]
    arm = Arm("full+talan", "full + talan", "full", None)
    run = PlannedRun(arm, spec.backbone.name, 0, 0, spec, spec.key)
    ledger = SimpleNamespace(
        probes=lambda digests, recipe: {}, states=lambda keys: dict.fromkeys(keys, "done")
    )
    (note,) = gaps([run], tmp_path, ledger)
    assert "no checkpoint of theirs was kept" in note
    monkeypatch.setattr(checkpoints, "LARGEST_MODEL_BYTES", 10_000)
    assert gaps([run], tmp_path, ledger) == (
        "1 run was not probed: of a model above 0.0 MB that is fine-tuned as a whole no checkpoint "
        "is kept.",
    )


def test_parameters_are_counted_without_loading(tmp_path):
    for name in backbones.BACKBONES:
        folder = backbones.embedded_folder(name)
        model, _ = backbones.load(backbones.resolve(name))
        assert backbones.n_parameters(folder) == sum(p.numel() for p in model.parameters())
    (tmp_path / "model.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(AblateError, match="no safetensors file"):
        backbones.n_parameters(tmp_path)


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_every_adapter_can_be_put_on_every_embedded_backbone(name, base):
    """Mixtures of experts included: what no plan refuses must train."""
    backbone = backbones.resolve(name)
    loaded, tokenizer = backbones.load(backbone)
    data = collate(encode(tokenizer, load_items("arithmetic", "validation")[:2]), 0)
    refuse_unfit(KINDS, [backbone], HP)
    for adapter in KINDS:
        spec = dataclasses.replace(arms(base, adapter)[0], backbone=backbone)
        made = adapt(spec, copy.deepcopy(loaded), backbones.adapter_targets(backbone))
        answer_loss(made.model, [data], None, CPU).backward()
        assert any(p.grad is not None and bool(p.grad.any()) for p in made.adapter), adapter


def test_an_adapter_that_does_not_fit_is_refused_by_both_names(base):
    hp = dataclasses.replace(HP, rank=64)
    backbone = base.backbone
    with pytest.raises(AblateError) as caught:
        refuse_unfit(["lora", "prefix"], [backbone], hp)
    assert str(caught.value).count("prefix cannot be put on toy-backbone: 64 virtual tokens") == 1
    refuse_unfit(["prefix"], [backbone], dataclasses.replace(hp, rank=63))
    register_adapter(
        "dense", recipe=1, help="a plugin's", misfit=lambda hp, config: "it is a Qwen3"
    )(lambda hp, targets: None)
    try:
        with pytest.raises(AblateError, match="dense cannot be put on toy-backbone: it is a Qwen3"):
            refuse_unfit(["dense"], [backbone], hp)
    finally:
        del ADAPTERS["dense"]


@pytest.mark.parametrize(
    ("adapter", "site"),
    [("lora", 0), ("lora", 1), ("vera", 0), ("ia3", 1), ("prefix", 0), ("prompt", 0), ("full", 0)],
)
def test_trainable_below_is_what_gradients_say(base, adapter, site):
    """A detached read changes the adapter's gradient exactly where the scale is kept."""
    made_by_scale = []
    for scale in (1.0, 0.0):
        spec = arms(base, adapter)[1]
        block = dataclasses.replace(spec.block, site=site, gradient_scale=scale)
        made = adapted(dataclasses.replace(spec, block=block))
        made.model.eval()  # no dropout
        with torch.no_grad():
            for parameter in made.handle.parameters():  # awake: W_out starts at 0
                parameter += 0.1 * torch.randn(
                    parameter.shape, generator=torch.Generator().manual_seed(1)
                )
            for parameter in made.adapter:
                parameter += 0.01 * torch.randn(
                    parameter.shape, generator=torch.Generator().manual_seed(2)
                )
        ids = torch.arange(5, 17)[None]
        made.model(input_ids=ids, use_cache=False).logits.square().sum().backward()
        made_by_scale.append([None if p.grad is None else p.grad.clone() for p in made.adapter])
    acts = any(a is not None and not torch.equal(a, b) for a, b in zip(*made_by_scale, strict=True))
    config = talan.TalanConfig(insertion=site, gradient_scale=0.0)
    kept = canonical(config, 3, find_adapter(adapter).trainable_below).gradient_scale == 0.0
    assert acts == kept


def test_controls_that_an_adapter_cannot_have_are_refused(toys):
    with pytest.raises(AblateError, match="vera has none"):
        toys.study(adapters="vera", controls="matched")
    with pytest.raises(AblateError, match="prompt does not start as the backbone"):
        toys.study(adapters="prompt", controls="side")
    toys.study(adapters="vera,prompt", controls="side")


def test_starting_as_the_backbone_is_what_logits_say(base):
    model, _ = backbones.load(base.backbone)
    ids = torch.arange(5, 17)[None]
    with torch.no_grad():
        own = model(input_ids=ids).logits
        for adapter in KINDS:
            made = adapted(arms(base, adapter)[0]).model.eval()
            logits = made(input_ids=ids, use_cache=False).logits[:, -12:]
            same = torch.allclose(own, logits, atol=1e-5)
            assert same == find_adapter(adapter).starts_as_backbone, adapter


def test_a_plan_refuses_virtual_tokens_without_room(toys):
    with pytest.raises(AblateError, match="prefix cannot be put on toy-backbone"):
        make_plan(toys.study(adapters="lora,prefix", train__rank="64"))


def test_the_peak_of_memory_is_that_of_a_run():
    reset_peak(CPU)
    before = peak_mb(CPU)
    block = torch.ones(24 * 2**20)  # 96 MB
    block += 1
    assert peak_mb(CPU) > before + 80
    del block
    reset_peak(CPU)
    assert peak_mb(CPU) < before + 40


def test_the_file_of_weights_by_hand(tmp_path):
    """Counted from the head: 8 bytes of its length, then JSON; shards by their index."""
    head = json.dumps({"__metadata__": {"format": "pt"}, "a": {"shape": [3, 4]}}).encode()
    for name in ("one", "two"):
        (tmp_path / f"{name}.safetensors").write_bytes(len(head).to_bytes(8, "little") + head)
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "one.safetensors"}})
    )
    assert backbones.n_parameters(tmp_path) == 12


def test_learning_rates_are_measured_on_validation_items(toys):
    lines = list(learning_rates.rows(toys.study(train__steps="9"), ["lora"], ["1e-2", "1e30"]))
    assert lines[0] == "| adapter | lr | trained | mean | pairs |"
    assert len(lines) == 5
    assert lines[2].startswith("| as it is | – | 0 |")
    assert "| diverged | – |" in lines[4]
    spec = learning_rates.run_spec(toys.study(), "ia3", 1e-2)
    assert [part.split for part in spec.benchmarks] == ["validation"]
