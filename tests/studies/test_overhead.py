"""The pure parts of the benchmark of costs, and one run of it on a tiny model."""

from __future__ import annotations

import json
import random

import pytest
import torch

import talan
from studies.benchmarks.contestants import RANK, SHAPES, build, configuration
from studies.benchmarks.measurement import (
    Goal,
    Interval,
    median_interval,
    operations,
    peak_growth,
    ratios,
    resident_bytes,
    rounds,
    shares,
)
from studies.benchmarks.overhead import main
from studies.benchmarks.overhead_table import Row, amount, line

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pair():
    return build(SHAPES["tiny"], talan.TalanConfig(), CPU, torch.float32)


# --- intervals ----------------------------------------------------------------------------------


def test_the_interval_of_a_median_is_made_of_the_tabulated_order_statistics():
    # Conover, Practical Nonparametric Statistics: for n = 15 the 4th and 12th, 96.5 %
    found = median_interval(list(range(1, 16)))
    assert (found.low, found.median, found.high) == (4, 8, 12)
    assert found.confidence == pytest.approx(0.9648, abs=1e-4)


@pytest.mark.parametrize(("n", "confidence"), [(1, 0.0), (2, 0.5), (5, 0.9375), (6, 0.96875)])
def test_few_values_give_their_range_and_the_confidence_it_has(n, confidence):
    found = median_interval(list(range(n)))
    assert (found.low, found.high, found.n) == (0, n - 1, n)
    assert found.confidence == pytest.approx(confidence)


def test_the_interval_covers_the_median_of_a_skewed_distribution():
    draw = random.Random(1)
    hits = 0
    for _ in range(400):
        found = median_interval([draw.expovariate(1.0) for _ in range(21)])
        hits += found.low <= 0.6931 <= found.high
    assert 0.95 <= hits / 400 <= 0.995  # exactly 0.9734


def test_no_values_have_no_median():
    with pytest.raises(ValueError, match="no median"):
        median_interval([])


@pytest.mark.parametrize(
    ("low", "high", "confidence", "verdict"),
    [
        (1.0, 1.01, 0.96, "met"),
        (1.011, 1.02, 0.96, "not met"),
        (1.0, 1.02, 0.96, "straddles"),
        (1.0, 1.005, 0.94, "too few"),
    ],
)
def test_a_goal_is_judged_by_the_interval(low, high, confidence, verdict):
    assert Goal(1.01).judge(Interval(1.005, low, high, confidence, 9)) == verdict


def test_a_goal_judges_an_exact_number_by_itself():
    assert [Goal(1.01).judge(each) for each in (1.01, 1.0101)] == ["met", "not met"]


def test_ratios_are_taken_within_rounds():
    slow_spell = [1.0, 1.0, 5.0, 5.0, 5.0, 1.0, 1.0]
    found = ratios([1.1 * each for each in slow_spell], slow_spell)
    assert (found.low, found.high) == pytest.approx((1.1, 1.1))
    assert shares([0.1] * 7, [2.0] * 7).median == pytest.approx(1.05)


def test_each_contestant_runs_once_in_each_round_in_changing_order():
    ran = []
    taken = rounds({name: lambda name=name: ran.append(name) for name in "abc"}, 20, warm_up=2)
    assert {name: len(each) for name, each in taken.items()} == {"a": 20, "b": 20, "c": 20}
    orders = {tuple(ran[at : at + 3]) for at in range(0, len(ran), 3)}
    assert all(sorted(each) == ["a", "b", "c"] for each in orders)
    assert len(ran) == 3 * 22
    assert len(orders) > 3
    runs = [[ran[3 * at + place] for at in range(first, first + 3)]
            for first in range(0, 21, 3) for place in range(3)]  # fmt: skip
    assert all(sorted(each) == ["a", "b", "c"] for each in runs)


# --- memory and counts ----------------------------------------------------------------------------


def test_the_peak_is_that_of_what_is_alive_at_once():
    def call():
        first = torch.empty(1000, 1000)
        second = first + 1
        del first
        third = torch.empty(3000, 1000)
        return second, third

    assert peak_growth(call, CPU) == pytest.approx(16e6, rel=0.01)


def test_shared_storages_count_once():
    whole = torch.zeros(100)
    assert resident_bytes([whole, whole[:10], whole.view(10, 10), torch.zeros(5)]) == 420


def test_operations_leave_views_and_allocations_out():
    values = torch.ones(4, 4)
    assert operations(lambda: torch.empty(3)) == 0
    assert operations(lambda: (values[:2] + 1).view(8).exp()) == 2


# --- contestants ----------------------------------------------------------------------------------


def test_counts_by_formula_are_those_of_the_built_model(pair):
    shape = SHAPES["tiny"]
    counts = {"lora": 0, "backbone": 0}
    for name, parameter in pair.plain.named_parameters():
        counts["lora" if "lora" in name else "backbone"] += parameter.numel()
    assert counts == {"lora": shape.lora_parameters(), "backbone": shape.backbone_parameters()}
    block = sum(each.numel() for each in pair.handle.parameters())
    assert block == shape.block_parameters(talan.TalanConfig())


@pytest.mark.parametrize(
    ("name", "millions"),  # of Qwen3's technical report: 0.6, 4, 8.2, 32.8 billion
    [("qwen3-0.6b", 596), ("qwen3-4b", 4022), ("qwen3-8b", 8191), ("qwen3-32b", 32762)],
)
def test_shapes_have_the_size_of_the_models_they_are_named_after(name, millions):
    assert round(SHAPES[name].backbone_parameters() / 1e6) == millions


def test_the_baseline_shares_every_tensor_and_has_no_hook(pair):
    own = {id(each) for each in pair.plain.parameters()}
    block = {id(each) for each in pair.handle.parameters()}
    assert {id(each) for each in pair.attached.parameters()} == own | block
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in pair.plain.modules())
    tasks = pair.prefills(1, 9)
    with torch.no_grad():
        plain, other, bypassed = (tasks[name]() for name in ("plain", "talan", "bypassed"))
    assert torch.equal(plain[0], bypassed[0])
    assert not torch.equal(plain[0], other[0])


def test_neither_adapter_nor_block_is_left_at_zero(pair):
    trained = [each for name, each in pair.attached.named_parameters() if "lora_B" in name]
    assert len(trained) == 7 * SHAPES["tiny"].layers
    assert all(each.abs().sum() > 0 for each in [*trained, pair.handle.block.projection.out])
    assert all(RANK in each.shape for each in trained)


def test_decoding_steps_agree_with_a_prefill(pair):
    with torch.no_grad():
        steps = pair.decoding_steps(1, 6)
        prompt, follow = pair.given(1, 6)["input_ids"], pair.given(1, 1)["input_ids"]
        whole = torch.cat([prompt, follow, follow], dim=1)
        for name, model in pair.models.items():
            steps[name]()
            torch.testing.assert_close(steps[name]().logits[:, -1], model(whole).logits[:, -1])


def test_settings_of_the_block_are_read_and_checked():
    found = configuration(["memory=4", "mixer=none", "width=8", "insertion=0.25"])
    assert (found.memory, found.mixer, found.width, found.insertion) == (4, "none", 8, 0.25)
    for bad, match in (("memry=4", "fields are"), ("memory", "fields are"), ("scope=side", "not")):
        with pytest.raises(talan.TalanError, match=match):
            configuration([bad])


# --- output ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (2.1234, "s", "2.123 s"),
        (0.01234, "s", "12.34 ms"),
        (3.2e-6, "s", "3.2 µs"),
        (2.4e9, "B", "2.4 GB"),
        (10_092_544, "", "10.09 M"),
        (573, "", "573"),
        (None, "s", ""),
    ],
)
def test_amounts_have_a_prefix(value, unit, shown):
    assert amount(value, unit) == shown


def test_lines_are_at_most_100_columns():
    ratio = Interval(1.02341, 0.99123, 1.12345, 0.96, 201)
    row = Row("x", "train", "train 1 x 512, checkpointing", 0.1234, 0.1236, "s", ratio, Goal(1.02))
    assert len(line(row)) <= 100
    assert line(row).endswith("<= 1.02 straddles")


def test_a_bypassed_model_that_seems_faster_is_a_sign_of_bias():
    row = Row("x", "prefill", "  bypassed", 1.0, 0.9, "s", Interval(0.9, 0.8, 0.99, 0.96, 9))
    assert line(row).endswith("below 1: biased")


def test_a_tiny_run_writes_what_it_prints(tmp_path, capsys):
    files = ["--json", str(tmp_path / "o.json"), "--markdown", str(tmp_path / "o.md")]
    only = ["--only", "share", "prefill", "kernels"]
    assert main(["--shape", "tiny", "--pairs", "2", *only, *files]) == 0
    record = json.loads((tmp_path / "o.json").read_text())
    assert record["missing"] == []
    assert {row["part"] for row in record["rows"]} == {"share", "prefill", "kernels"}
    prefill = next(row for row in record["rows"] if row["part"] == "prefill")
    assert prefill["verdict"] == "too few"
    assert prefill["ratio"]["n"] == 2
    printed = capsys.readouterr().out
    page = (tmp_path / "o.md").read_text()
    for row in record["rows"]:
        assert row["what"] in printed
        assert row["what"].strip() in page
    assert record["command"] in page
    assert str(tmp_path) not in page


def test_a_part_that_fails_is_told_and_the_others_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("studies.benchmarks.overhead.Bench.prefill", lambda self: 1 / 0)
    command = ["--shape", "tiny", "--only", "prefill", "share"]
    assert main(command) == 1
    printed = capsys.readouterr().out
    assert "tiny, prefill: failed with ZeroDivisionError" in printed
    assert "LoRA + block, tiny" in printed
    assert main([*command, "--minutes", "0"]) == 1
    assert "not run, the time is up" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pairs", "0"], "give 1 or more"),
        (["--talan", "mixer=mpl"], "did you mean 'mlp'"),
        (["--shape", "qwen"], "invalid choice"),
    ],
)
def test_bad_options_are_one_sentence(options, message, capsys):
    with pytest.raises(SystemExit):
        main(options)
    assert message in capsys.readouterr().err
