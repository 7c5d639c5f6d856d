"""Training: which parameters get a gradient, that it is the right one, and which ones change."""

from __future__ import annotations

import dataclasses

import torch
from peft import get_peft_model
from torch import Tensor

import talan
from tests.talan.cases import backbone, generator
from tests.talan.matrix.registry import behaviour
from tests.talan.matrix.subjects import Spec, Subject, build, padded


def trainable(subject: Subject) -> dict[str, torch.nn.Parameter]:
    return {n: p for n, p in subject.model.named_parameters() if p.requires_grad}


def right_padded() -> tuple[Tensor, Tensor]:
    return padded("right", more=2)


def same_gradients(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert set(found) == set(wanted)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


@behaviour
def gradients(spec: Spec) -> None:
    """Every parameter that trains gets a gradient that is not zero, and no frozen one gets any."""
    subject = build(spec, train=True)
    found = subject.gradients(*right_padded())
    assert set(found) == set(trainable(subject))
    # A static memory of one slot leaves the projection of the stream unused.
    for name, gradient in found.items():
        assert gradient.abs().sum() > 0, name
    assert any("talan." in name for name in found) == (subject.handle.config.scope != "adapter")


@behaviour
def an_optimiser_step(spec: Spec) -> None:
    """Only what trains changes, and all of it does, by the two groups of parameters."""
    subject = build(spec, train=True)
    groups = talan.trainable_parameters(subject.handle)
    parameters = groups["adapter"] + groups["block"]
    assert {id(each) for each in parameters} == {id(each) for each in trainable(subject).values()}
    before = {n: p.detach().clone() for n, p in subject.model.named_parameters()}
    buffers = {n: b.clone() for n, b in subject.model.named_buffers()}
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    subject.gradients(*right_padded())
    optimizer.step()
    for name, parameter in subject.model.named_parameters():
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name
    assert all(torch.equal(b, buffers[n]) for n, b in subject.model.named_buffers())


@behaviour
def gradients_on_the_inputs(spec: Spec) -> None:
    """`enable_input_require_grads`, as preparing a quantised model for training does."""
    subject = build(spec, train=True)
    subject.model.enable_input_require_grads()
    seen = []
    embeddings = subject.model.get_input_embeddings()
    with subject.context():
        hook = embeddings.register_forward_hook(lambda module, args, out: seen.append(out))
        loss = subject.loss(*right_padded())
        hook.remove()
    assert seen[0].requires_grad
    loss.backward()


def checkpointed(spec: Spec, reentrant: bool) -> None:
    gradients = []
    for checkpointing in (False, True):
        subject = build(spec, train=True)
        subject.model.enable_input_require_grads()
        if checkpointing:
            subject.model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        gradients.append(subject.gradients(*right_padded()))
    same_gradients(gradients[1], gradients[0])


@behaviour
def reentrant_checkpointing(spec: Spec) -> None:
    checkpointed(spec, True)


@behaviour
def checkpointing(spec: Spec) -> None:
    checkpointed(spec, False)


@behaviour
def autocast(spec: Spec) -> None:
    """Under bf16 autocast: the block itself is exact, and gradients differ by bf16's rounding."""
    subject = build(spec, train=True)
    ids, mask = right_padded()
    stream = torch.randn(3, 9, 32, generator=torch.Generator().manual_seed(2))
    call = talan.Call(prompt=torch.tensor([4, 4, 4]), donors=None)
    exact = subject.gradients(ids, mask)
    inside = subject.handle.block.change(stream, call)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(subject.handle.block.change(stream, call), inside)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = subject.gradients(ids, mask)
    assert set(rough) == set(exact)
    wanted = torch.cat([each.flatten() for each in exact.values()])
    found = torch.cat([rough[name].flatten() for name in exact])
    assert torch.isfinite(found).all()
    assert torch.nn.functional.cosine_similarity(found, wanted, 0) > 0.99
    assert (found - wanted).norm() < 0.1 * wanted.norm()


@behaviour
def half_precision(spec: Spec) -> None:
    """On a bf16 backbone the block stays float32, trains, and decodes behind a hole in the mask."""
    subject = build(spec, train=True, dtype=torch.bfloat16)
    ids, mask = padded(lengths=(12, 12, 12))
    mask[:, 1] = 0
    assert {each.dtype for each in subject.handle.state_dict().values()} == {torch.float32}
    found = subject.gradients(ids, mask)
    assert all(torch.isfinite(each).all() for each in found.values())
    assert {each.dtype for n, each in found.items() if "talan." in n} <= {torch.float32}
    subject.model.eval()
    with torch.no_grad(), subject.context():
        assert subject.logits(ids, mask).dtype == torch.bfloat16
        with subject.handle.disabled():
            plain = subject.logits(ids, mask)
        assert not torch.equal(subject.logits(ids, mask), plain)
        out = subject.model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=4)
    assert out.shape == (3, 16)


@behaviour
def scope_is_kept(spec: Spec) -> None:
    """The scope's choice of what trains survives every state change of PEFT that unfreezes."""
    subject = build(spec, train=True)
    model, handle = subject.model, subject.handle
    ids, mask = right_padded()
    scoped = set(trainable(subject))
    if subject.peft:
        with model.disable_adapter():
            pass
        subject.gradients(ids, mask)  # a forward pass in training applies the scope
        assert set(trainable(subject)) == scoped
        model.set_adapter("default")
        subject.gradients(ids, mask)
        assert set(trainable(subject)) == scoped
    with handle.disabled(adapter=True):
        pass
    assert set(trainable(subject)) == scoped


@behaviour
def trainable_biases(spec: Spec) -> None:
    """Biases that the adapter trains belong to its group, and to what scope `side` freezes."""
    spec = dataclasses.replace(spec, backbone="qwen2")  # it has biases
    known = build(spec, attach=False).model.peft_config["default"]
    config = type(known)(target_modules=known.target_modules, bias="all", task_type="CAUSAL_LM")
    model = get_peft_model(backbone(spec.backbone, layers=spec.layers), config)
    biases = {id(each) for name, each in model.named_parameters() if name.endswith(".bias")}
    handle = talan.attach(model, talan.TalanConfig(), generator=generator())
    assert biases <= {id(each) for each in talan.trainable_parameters(handle)["adapter"]}
    Subject(spec, model, handle).gradients(*right_padded())
    handle.detach()
    handle = talan.attach(model, talan.TalanConfig(scope="side"), generator=generator())
    assert not talan.trainable_parameters(handle)["adapter"]
    handle.detach()
    assert all(each.requires_grad for each in model.parameters() if id(each) in biases)
