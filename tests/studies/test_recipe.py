"""The pre-training recipe: its stream, its curriculum, and that it repeats."""

import functools

import numpy as np
import pytest
import torch

from ablate.backbones import BACKBONES, load, resolve
from ablate.benchmarks import MAIN, load_items
from studies import stream as stream_module
from studies.competence import competence, exact_matches
from studies.contents import Content, draw_table, split_of
from studies.forms import prompt
from studies.stream import IGNORE, Curriculum, Stream, encode
from studies.tokenizer import EOS, VOCABULARY
from tests.studies.test_items import key_of, skill_and_form

BELOW_COMPETENCE = {
    ("qwen2-tiny", "algebra"),
    ("qwen2-tiny", "recall"),
    ("llama-tiny", "recall"),
}


@pytest.fixture
def small_stream(monkeypatch):
    """A stream over a few contents, so that no data set has to be drawn."""
    pools = {
        "arithmetic": [Content("arithmetic", (str(a), "+", "2"), str(a + 2), "") for a in range(9)],
        "algebra": [Content("algebra", (f"{a}x", str(2 * a)), "2", "") for a in range(1, 9)],
        "code": [Content("code", (word,), word[::-1], word) for word in ("turn", "page")],
    }
    monkeypatch.setattr(stream_module, "contents", lambda skill, split: tuple(pools[skill]))
    return Stream


def test_answers_and_the_end_are_expected_right_after_the_question():
    batch = encode([[("ab=", "cd")], [("a?", "b"), ("c?", "d")]])
    c, d, b, end = (VOCABULARY[s] for s in ("c", "d", "b", EOS))
    assert batch.expected.tolist() == [
        [IGNORE, IGNORE, c, d, end, IGNORE],
        [IGNORE, b, end, IGNORE, d, end],
    ]
    assert batch.texts == ("ab=cd", "a?bc?d")


def test_streams_repeat_from_their_seed(small_stream):
    def draw(seed):
        stream = small_stream(seed)
        return [stream.short_batch().texts + stream.table_batch().texts for _ in range(3)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_tables_grow_only_when_they_are_mastered():
    curriculum = Curriculum()
    for _ in range(100):
        curriculum.learn(0.8)
    assert (curriculum.longest, len(curriculum.forms)) == (3, 1)
    for _ in range(300):
        curriculum.learn(1.0)
    assert (curriculum.longest, len(curriculum.forms)) == (Curriculum.LONGEST, 2)


def test_tables_are_of_the_split_that_is_asked_for():
    rng = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        table = draw_table(rng, 12, split)
        assert len({key for key, _ in table}) == 12
        assert split_of("recall", ",".join(k + v for k, v in table)) == split


def test_the_stream_never_asks_a_held_out_question():
    pytest.importorskip("reasoning_gym", reason="needs the extra 'recipes'")
    held_out = {skill: set() for skill in MAIN}
    for name in (*MAIN, "retention"):
        for split in ("validation", "test"):
            for item in load_items(name, split):
                skill, form = skill_and_form(item.id)
                held_out[skill].add(key_of(skill, item.prompt, form))
    stream = Stream(0)
    stream.curriculum.longest = Curriculum.LONGEST
    seen = dict.fromkeys(MAIN, 0)
    for _ in range(20):
        for text in stream.short_batch().texts:
            for skill, form in (s for s in _WORDINGS if _WORDINGS[s](text)):
                question = text[: text.rindex(_END[skill, form]) + len(_END[skill, form])]
                assert key_of(skill, question, form) not in held_out[skill]
                seen[skill] += 1
        for text in stream.table_batch().texts:
            form = "plain" if "?" in text else "worded"
            table = text.split("?" if form == "plain" else " >")[0]
            assert key_of("recall", table, form) not in held_out["recall"]
            seen["recall"] += 1
    assert min(seen.values()) > 100


_WORDINGS = {
    ("arithmetic", "plain"): lambda t: t[0].isdigit() and "x" not in t,
    ("arithmetic", "worded"): lambda t: t.startswith("calc "),
    ("algebra", "plain"): lambda t: ";x=" in t,
    ("algebra", "worded"): lambda t: t.startswith("solve "),
    ("code", "plain"): lambda t: "[::-1]=" in t,
    ("code", "worded"): lambda t: t.startswith("flip "),
}
_END = {
    ("arithmetic", "plain"): "=",
    ("arithmetic", "worded"): ":",
    ("algebra", "plain"): "=",
    ("algebra", "worded"): ":",
    ("code", "plain"): "=",
    ("code", "worded"): ":",
}


def test_a_few_steps_repeat_bit_for_bit_and_change_the_weights(small_stream):
    from studies.pretraining import Recipe, pretrain

    def weights(steps):
        losses = []
        recipe = Recipe(steps=steps, warmup=1)
        model = pretrain("qwen3-tiny", recipe, lambda p, _: losses.append(p.short_loss))
        return torch.cat([p.detach().flatten() for p in model.parameters()]), losses

    first, losses = weights(2)
    again, _ = weights(2)
    assert torch.equal(first, again)
    assert len(losses) == 2
    assert not torch.equal(first, weights(1)[0])


def test_exact_match_equals_greedy_generation():
    model, tokenizer = load(resolve("llama-tiny"))
    items = load_items("retention", "test")[::25]
    by_generation = []
    for item in items:
        ids = tokenizer(item.prompt, return_tensors="pt").input_ids
        out = model.generate(ids, max_new_tokens=len(item.answer) + 1, do_sample=False)
        answer = tokenizer.decode(out[0, ids.shape[1] :])
        by_generation.append(answer == item.answer + EOS)
    assert exact_matches(model, items, rows=7) == by_generation
    assert sum(by_generation) > 0


@pytest.fixture(scope="module")
def shares():
    """Competence on validation items by backbone, measured when first asked for."""
    return functools.cache(lambda name: competence(load(resolve(name))[0], ["validation"]))


@pytest.mark.parametrize("skill", MAIN)
@pytest.mark.parametrize("name", BACKBONES)
def test_shipped_backbones_are_competent_in_their_forms_and_not_in_the_new_ones(
    name, skill, shares, request
):
    if (name, skill) in BELOW_COMPETENCE:
        reason = "known shortfall, see docs/backbones.md"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    found = shares(name)
    forms = (found[skill, "plain"] + found[skill, "worded"]) / 2
    assert forms > 0.9
    assert found[skill, "target"] < forms - 0.3


def test_the_template_of_the_stream_is_that_of_the_items():
    content = Content("code", ("turn",), "nrut", "turn")
    assert prompt(content, "plain") == "turn[::-1]="
