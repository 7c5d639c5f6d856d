"""Pairing is real: the arms of a pair share everything that the block does not own."""

import dataclasses

import pytest
import torch

from ablate import backbones
from ablate.benchmarks import load_items
from ablate.evaluate import Encoded, collate, encode, score_items
from ablate.plan import make_plan
from ablate.spec import UNADAPTED
from ablate.train import adapt, answer_loss, batches, like_lengths, train
from ablate.worker import execute, execute_one, fold_adapter, make_accelerator

ADAPTERS = ("lora", "dora", "rslora")


@pytest.fixture(scope="module")
def plan(toys):
    return make_plan(
        toys.study(adapters=",".join(ADAPTERS), train__steps="4", train__dropout="0.1")
    )


def arms(plan, adapter, seed=0):
    """(baseline, with block) of an adapter and seed."""
    found = [r.spec for r in plan.runs if r.spec.adapter == adapter and r.spec.seed == seed]
    return found[0], found[1]


def adapted(spec):
    model, _ = backbones.load(spec.backbone)
    return adapt(spec, model, backbones.adapter_targets(spec.backbone))


def adapter_state(made):
    return {
        name: value
        for name, value in made.model.state_dict().items()
        if "lora" in name and "talan" not in name
    }


@pytest.fixture(scope="module")
def rows(plan, toys):
    _, tokenizer = backbones.load(plan.backbones[0])
    return encode(tokenizer, load_items(str(toys.benchmark), "train"))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_arms_start_from_bit_identical_adapters(plan, adapter):
    baseline, block = (adapter_state(adapted(spec)) for spec in arms(plan, adapter))
    assert baseline.keys() == block.keys()
    assert len(baseline) > 0
    assert all(torch.equal(baseline[name], block[name]) for name in baseline)


def test_another_seed_starts_from_another_adapter(plan):
    first, second = (adapter_state(adapted(arms(plan, "lora", seed)[0])) for seed in (0, 1))
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_arms_see_identical_batches_in_identical_order(plan, rows):
    baseline, block = (list(batches(spec, [rows], 0)) for spec in arms(plan, "lora"))
    assert len(baseline) == 4
    for (a,), (b,) in zip(baseline, block, strict=True):
        assert torch.equal(a.ids, b.ids)
        assert torch.equal(a.labels, b.labels)
    other = list(batches(arms(plan, "lora", seed=1)[0], [rows], 0))
    assert any(
        a.ids.shape != b.ids.shape or not torch.equal(a.ids, b.ids)
        for (a,), (b,) in zip(baseline, other, strict=True)
    )


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_arms_have_the_bit_identical_loss_at_step_0_and_then_part(plan, adapter):
    baseline, block = (execute_one(spec).losses for spec in arms(plan, adapter))
    assert baseline[0] == block[0]
    assert baseline[-1] != block[-1]


def test_the_same_run_twice_gives_the_same_result(plan):
    spec = arms(plan, "lora")[1]
    first, second = execute([spec, spec])
    assert first.losses == second.losses
    assert (first.scores[0].correct == second.scores[0].correct).all()
    assert (first.scores[0].loglik == second.scores[0].loglik).all()
    other = execute_one(dataclasses.replace(spec, seed=1))
    assert other.losses != first.losses
    assert (other.scores[0].loglik != first.scores[0].loglik).any()


def test_a_run_leaves_the_global_generators_alone(plan):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    execute_one(arms(plan, "dora")[1])
    assert torch.equal(torch.rand(3), expected)


def test_scope_adapter_is_bit_identical_to_the_baseline(plan):
    baseline, block = arms(plan, "lora")
    frozen = dataclasses.replace(block, block=dataclasses.replace(block.block, scope="adapter"))
    a, b = execute([baseline, frozen])
    assert a.losses == b.losses
    assert (a.scores[0].loglik == b.scores[0].loglik).all()


def test_rows_are_used_up_before_they_repeat(plan, rows):
    spec = dataclasses.replace(
        arms(plan, "lora")[0],
        hp=dataclasses.replace(arms(plan, "lora")[0].hp, steps=10, batch=4),
    )
    seen = [strip(row) for (batch,) in batches(spec, [rows], 0) for row in batch.ids]
    assert len(rows) == 40
    assert len(set(seen)) == 40


def test_a_batch_holds_equal_shares_of_the_mix(plan, rows):
    spec = dataclasses.replace(
        arms(plan, "lora")[0], hp=dataclasses.replace(arms(plan, "lora")[0].hp, batch=7)
    )
    mix = [rows[:10], rows[10:20], rows[20:]]
    owner = {row.ids: which for which, part in enumerate(mix) for row in part}
    for groups in batches(spec, mix, 0):
        found = [owner[strip(row)] for batch in groups for row in batch.ids]
        assert [found.count(which) for which in range(3)] == [3, 2, 2]


def strip(row):
    """A padded row of token ids as the tuple it was made from."""
    return tuple(t for t in row.tolist() if t)


def test_rows_of_unlike_length_do_not_share_a_forward_pass():
    rows = [Encoded(tuple(range(1, n + 1)), 1) for n in (9, 4, 21, 8, 40, 5)]
    lengths = [[len(row.ids) for row in group] for group in like_lengths(rows)]
    assert lengths == [[4, 5, 8], [9], [21, 40]]


def test_grouping_does_not_change_the_loss(plan, rows):
    made = adapted(arms(plan, "lora")[0])
    chosen = list(rows[:12])
    whole = answer_loss(made.model, [collate(chosen, 0)], None, torch.device("cpu"))
    parts = [collate(chosen[:5], 0), collate(chosen[5:], 0)]
    torch.testing.assert_close(answer_loss(made.model, parts, None, torch.device("cpu")), whole)


def test_divergence_is_an_outcome_with_a_reason_and_no_score(plan):
    spec = arms(plan, "lora")[1]
    wild = dataclasses.replace(spec, hp=dataclasses.replace(spec.hp, lr=1e30, steps=30))
    result = execute_one(wild)
    assert result.outcome == "diverged"
    assert "step" in result.reason
    assert result.scores == ()


def test_a_finite_loss_that_blows_up_is_a_divergence(plan, rows, monkeypatch):
    """Under a limit of a tenth of the loss of guessing, the first loss is already too large."""
    spec = arms(plan, "lora")[0]
    assert train(spec, adapted(spec), [rows], 0, make_accelerator("cpu", "fp32")).reason == ""
    monkeypatch.setattr("ablate.train.BLOW_UP", 0.1)
    ended = train(spec, adapted(spec), [rows], 0, make_accelerator("cpu", "fp32"))
    assert ended.reason.endswith("at step 0")
    assert len(ended.losses) == 1


def test_unadapted_is_scored_as_it_is(plan):
    spec = next(run.spec for run in plan.runs if run.spec.adapter == UNADAPTED)
    result = execute_one(spec)
    assert result.outcome == "done"
    assert result.losses == ()
    assert result.cost.adapter_parameters == 0


def test_bf16_trains_and_is_another_run(toys):
    plan = make_plan(toys.study(precision="bf16"))
    result = execute_one(arms(plan, "lora")[1])
    assert result.outcome == "done"
    assert result.key != arms(make_plan(toys.study()), "lora")[1].key


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: none is present")
def test_a_gpu_trains(toys):
    result = execute_one(arms(make_plan(toys.study(device="cuda")), "lora")[1])
    assert result.outcome == "done"


def test_adapter_and_block_are_clipped_separately(plan, rows, monkeypatch):
    spec = arms(plan, "lora")[1]
    made = adapted(spec)
    sizes = []
    real = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        torch.nn.utils,
        "clip_grad_norm_",
        lambda parameters, limit: sizes.append(len(parameters)) or real(parameters, limit),
    )
    train(spec, made, [rows], 0, make_accelerator("cpu", "fp32"))
    assert sizes == [len(made.adapter), len(made.block)] * spec.hp.steps


def test_exact_match_by_one_forward_equals_generation(plan, rows):
    """Greedy ``generate`` gives the answer exactly where the teacher-forced score says so."""
    model, tokenizer = backbones.load(plan.backbones[0])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(80):
        loss = answer_loss(model, [collate(rows[:20], 0)], None, torch.device("cpu"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    correct, loglik = score_items(model, rows, 0, torch.device("cpu"), 16)
    generated = []
    for row in rows:
        prompt = torch.tensor([row.ids[: row.n_prompt]])
        out = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=len(row.ids) - row.n_prompt,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        generated.append(tuple(out[0].tolist()) == row.ids)
    assert generated == correct.tolist()
    assert 0 < correct.sum() < len(rows), "the comparison needs both outcomes"
    assert (loglik < 0).all()


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_folding_the_adapter_in_does_not_change_scores(plan, rows, adapter):
    spec = arms(plan, adapter)[1]
    made = adapted(spec)
    train(spec, made, [rows], 0, make_accelerator("cpu", "fp32"))
    apart = score_items(made.model, rows, 0, torch.device("cpu"), 16)
    fold_adapter(made.model)
    folded = score_items(made.model, rows, 0, torch.device("cpu"), 16)
    assert (apart[0] == folded[0]).all()
    torch.testing.assert_close(torch.tensor(apart[1]), torch.tensor(folded[1]))


def test_padding_does_not_change_scores(plan, rows):
    spec = arms(plan, "lora")[1]
    made = adapted(spec)
    together = score_items(made.model, rows, 0, torch.device("cpu"), 40)
    alone = score_items(made.model, rows, 0, torch.device("cpu"), 1)
    assert (together[0] == alone[0]).all()
    torch.testing.assert_close(torch.tensor(together[1]), torch.tensor(alone[1]))


def test_the_loss_is_on_the_answer_alone(plan, rows):
    made = adapted(arms(plan, "lora")[0])
    (batch,) = next(batches(arms(plan, "lora")[0], [rows], 0))
    loss = answer_loss(made.model, [batch], None, torch.device("cpu"))
    tokens = int((batch.labels != -100).sum())
    _, loglik = score_items(
        made.model,
        [row for ids in batch.ids for row in rows if row.ids == strip(ids)],
        0,
        torch.device("cpu"),
        4,
    )
    assert loss.item() == pytest.approx(-float(loglik.sum()) / tokens, rel=1e-5)
