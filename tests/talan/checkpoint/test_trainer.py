"""Training with transformers' Trainer: checkpoints, resuming, the best model, the optimiser."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest
import torch
from transformers import Trainer, TrainingArguments

import talan
from talan.checkpoint.manifest import CONFIG, MANIFEST, TENSORS
from talan.errors import TalanError
from tests.talan.cases import adapted, backbone, generator, tokens

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*pin_memory")

ROWS = tokens(24, 8)
OURS = {CONFIG, TENSORS, MANIFEST}
KINDS = ("lora", "none", "full")
HOW = ("mixin", "callback")


@pytest.fixture(scope="module", autouse=True)
def _quick_collection():
    """Trainer collects garbage at each start, over all that torch has brought in."""
    gc.freeze()
    yield
    gc.unfreeze()


class MixedTrainer(talan.TalanTrainerMixin, Trainer):
    pass


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return len(ROWS)

    def __getitem__(self, index):
        return {"input_ids": ROWS[index], "labels": ROWS[index]}


def started(kind: str = "lora", scope: str = "joint", dropout: float = 0.1):
    """A model at its start; dropout makes a resumed run depend on the random state as well."""
    model = adapted(kind=kind, dropout=dropout, model=backbone(layers=2))
    talan.attach(model, talan.TalanConfig(scope=scope), generator=generator())
    return model


def trainer_for(model, folder, *, callback: bool = False, best: bool = False, optimizers=None):
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=4,
        max_steps=2,
        save_steps=1,
        save_strategy="steps",
        eval_strategy="steps" if best else "no",
        eval_steps=1,
        load_best_model_at_end=best,
        learning_rate=1e-2,
        lr_scheduler_type="constant",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        seed=5,
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    kind = Trainer if callback else MixedTrainer
    return kind(
        model=model,
        args=arguments,
        train_dataset=Rows(),
        eval_dataset=Rows() if best else None,
        callbacks=[talan.TalanCallback()] if callback else [],
        optimizers=optimizers or (None, None),
    )


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def moved(model):
    """The parameters of the model by name, away from which training must have gone."""
    return {name: each.detach().clone() for name, each in model.named_parameters()}


def logits(model):
    with torch.no_grad():
        return model.eval()(ROWS[:2]).logits


def base_for(kind: str):
    return backbone(seed=1 if kind == "full" else 0, layers=2)


@pytest.fixture(scope="module", params=[f"{kind}-{how}" for kind in KINDS for how in HOW])
def uninterrupted(request, tmp_path_factory):
    """A finished run: kind, whether by callback, its trainer and its start."""
    kind, how = request.param.split("-")
    folder = tmp_path_factory.mktemp("run")
    trainer = trainer_for(started(kind), folder, callback=how == "callback")
    start = moved(trainer.model)
    trainer.train()
    return kind, how == "callback", trainer, start


def test_a_resumed_run_equals_an_uninterrupted_one(uninterrupted, tmp_path):
    kind, callback, whole, start = uninterrupted
    after = moved(whole.model)
    trained = [name for name in after if not torch.equal(after[name], start[name])]
    assert any("talan" in name for name in trained)
    assert any("talan" not in name for name in trained) == (kind != "none")

    folder = shutil.copytree(whole.args.output_dir, tmp_path / "run")
    resumed = trainer_for(started(kind), folder, callback=callback)
    resumed.train(resume_from_checkpoint=str(folder / "checkpoint-1"))
    assert losses(resumed) == losses(whole)
    for name, each in moved(resumed.model).items():
        assert torch.equal(each, after[name]), name


def test_every_checkpoint_and_save_model_write_what_load_takes(uninterrupted, tmp_path):
    kind, callback, trainer, _ = uninterrupted
    folders = [Path(trainer.args.output_dir) / "checkpoint-2"]
    if not callback:
        trainer.save_model(str(tmp_path / "final"))
        assert "save_pretrained" not in vars(trainer.model)
        folders.append(tmp_path / "final")
    for folder in folders:
        files = {each.name for each in folder.iterdir()}
        assert files >= {*OURS, "training_args.bin"}
        assert ("adapter_model.safetensors" in files) == (kind == "lora")
        if not callback:
            assert ("model.safetensors" in files) == (kind == "full")
        loaded = talan.load(base_for(kind), folder)
        assert torch.equal(logits(loaded.model), logits(trainer.model))


@pytest.mark.parametrize(
    ("kind", "how"), [*((kind, "mixin") for kind in KINDS), ("lora", "callback")]
)
def test_the_best_model_comes_back_with_its_block(kind, how, tmp_path, monkeypatch):
    callback = how == "callback"
    trainer = trainer_for(started(kind), tmp_path, callback=callback, best=True)
    evaluations = iter([1.0, 2.0])  # the first checkpoint is the best
    evaluate = type(trainer).evaluate

    def better_first(self, *args, **kwargs):
        return {**evaluate(self, *args, **kwargs), "eval_loss": next(evaluations)}

    monkeypatch.setattr(type(trainer), "evaluate", better_first)
    trainer.train()
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-1")
    first, last = (
        logits(talan.load(base_for(kind), tmp_path / f"checkpoint-{step}").model) for step in (1, 2)
    )
    assert torch.equal(logits(trainer.model), first)
    assert not torch.equal(first, last)


@pytest.mark.parametrize("scope", ["joint", "readout", "side", "adapter"])
def test_the_optimiser_holds_what_the_scope_lets_train(scope, tmp_path):
    model = started(scope=scope)
    model.requires_grad_(True)  # whatever others did to the flags of the block
    handle = next(iter(talan.handles(model).values()))
    model.set_adapter("default")
    for name, each in model.named_parameters():
        if "lora_" not in name and "talan" not in name:
            each.requires_grad_(False)
    trainer = trainer_for(model, tmp_path)
    optimizer = trainer.create_optimizer()
    held = {id(each) for group in optimizer.param_groups for each in group["params"]}
    groups = talan.trainable_parameters(handle)
    assert held == {id(each) for group in groups.values() for each in group}
    assert bool(groups["block"]) == (scope != "adapter")
    assert bool(groups["adapter"]) == (scope != "side")


def test_peft_may_come_after_the_block(tmp_path):
    inner = backbone(layers=2)
    handle = talan.attach(inner, talan.TalanConfig(), generator=generator())
    model = adapted(model=inner)  # which freezes all that was there, the block included
    trainer = trainer_for(model, tmp_path)
    before = moved(model)
    trainer.train()
    assert not torch.equal(handle.block.projection.out, before[_out(model)])
    loaded = talan.load(base_for("lora"), tmp_path / "checkpoint-2")
    assert torch.equal(logits(loaded.model), logits(model))


def _out(model):
    return next(name for name, _ in model.named_parameters() if name.endswith("projection.out"))


def test_mistakes(tmp_path):
    with pytest.raises(TalanError, match="no block is attached"):
        trainer_for(adapted(), tmp_path).train()
    with pytest.raises(TalanError, match="no block is attached"):
        trainer_for(adapted(), tmp_path, callback=True)

    model = started()
    adapter = [each for name, each in model.named_parameters() if "lora_" in name]
    given = (torch.optim.AdamW(adapter), None)
    for callback in (False, True):
        with pytest.raises(TalanError, match=r"the optimiser lacks .* parameters of the block"):
            trainer_for(model, tmp_path, callback=callback, optimizers=given).train()


def test_checkpoints_of_something_else_are_refused(tmp_path):
    trainer_for(started(), tmp_path / "run").train()
    checkpoint = str(tmp_path / "run" / "checkpoint-1")

    def fails(model, match, folder=checkpoint):
        before = moved(model)
        with pytest.raises(TalanError, match=match):
            trainer_for(model, tmp_path / "other").train(resume_from_checkpoint=folder)
        assert all(torch.equal(each, before[name]) for name, each in moved(model).items())

    other = adapted(model=base_for("lora"))
    talan.attach(other, talan.TalanConfig(memory=4), generator=generator())
    fails(other, "differ in the configuration of 'default'")
    named = adapted(model=base_for("lora"))
    talan.attach(named, talan.TalanConfig(), name="b", generator=generator())
    fails(named, "differ in side paths")
    fails(started("none"), "differ in what is saved beside the block: adapter and block")
    fails(started("dora"), "missing keys")
    changed = backbone(seed=1, layers=2)
    model = adapted(model=changed)
    talan.attach(model, talan.TalanConfig(), generator=generator())
    fails(model, "another base model")

    plain = Trainer(
        model=started(),
        args=trainer_for(started(), tmp_path / "plain").args,
        train_dataset=Rows(),
    )
    plain.train()
    fails(started(), "a PEFT adapter alone", str(tmp_path / "plain" / "checkpoint-1"))


def test_a_callback_that_cannot_find_the_checkpoint_says_so(tmp_path):
    trainer_for(started(), tmp_path / "run", callback=True).train()
    checkpoint = str(tmp_path / "run" / "checkpoint-1")
    elsewhere = trainer_for(started(), tmp_path / "other", callback=True)
    with pytest.raises(TalanError, match="resumed_from=folder"):
        elsewhere.train(resume_from_checkpoint=checkpoint)
    elsewhere = trainer_for(started(), tmp_path / "other", callback=True)
    elsewhere.pop_callback(talan.TalanCallback)
    elsewhere.add_callback(talan.TalanCallback(resumed_from=checkpoint))
    elsewhere.train(resume_from_checkpoint=checkpoint)
    first, second = (
        logits(talan.load(base_for("lora"), tmp_path / where / "checkpoint-2").model)
        for where in ("run", "other")
    )
    assert torch.equal(first, second)
