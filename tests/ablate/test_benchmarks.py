"""Benchmarks: the shipped items, the registry, and a user's own file."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ablate.benchmarks import (
    BENCHMARKS,
    MAIN,
    SPLITS,
    Benchmark,
    Item,
    benchmark,
    digest,
    load_items,
    register,
)
from ablate.errors import AblateError

EMBEDDED = ("arithmetic", "algebra", "code", "recall", "retention")


def test_the_five_embedded_benchmarks_are_known_and_retention_is_no_main_one():
    assert set(EMBEDDED) <= set(BENCHMARKS)
    assert MAIN == ("arithmetic", "algebra", "code", "recall")


@pytest.mark.parametrize("name", EMBEDDED)
def test_splits_are_large_enough_and_share_no_prompt_and_no_id(name):
    splits = {split: load_items(name, split) for split in SPLITS}
    assert len(splits["train"]) >= 2000
    assert len(splits["validation"]) >= 500
    assert len(splits["test"]) >= 500
    everything = [item for items in splits.values() for item in items]
    assert len({item.id for item in everything}) == len(everything)
    for split in ("validation", "test"):
        others = {i.prompt for o in SPLITS if o != split for i in splits[o]}
        assert not others & {i.prompt for i in splits[split]}


@pytest.mark.parametrize("name", EMBEDDED)
def test_chance_is_the_measured_majority_share_of_the_test_items(name):
    answers = Counter(item.answer for item in load_items(name, "test"))
    assert BENCHMARKS[name].chance == max(answers.values()) / answers.total()


def test_recall_prompts_are_longer_than_the_slots_of_the_memory():
    assert min(len(item.prompt) for item in load_items("recall", "test")) >= 48


@pytest.mark.parametrize(
    ("name", "solve"),
    [
        ("code", lambda prompt, word: word[::-1] in prompt),
        ("recall", lambda prompt, value: value in prompt),
    ],
)
def test_answers_follow_from_their_prompts(name, solve):
    assert all(solve(item.prompt, item.answer) for item in load_items(name, "test"))


def test_a_digest_depends_on_items_and_not_on_the_file(tmp_path):
    copy = tmp_path / "other.jsonl"
    copy.write_text(BENCHMARKS["code"].path.read_text())
    assert digest(str(copy), "test") == digest("code", "test")
    assert digest("code", "test") != digest("code", "validation")
    changed = copy.read_text().replace('"split":"test","prompt":"', '"split":"test","prompt":"!', 1)
    (tmp_path / "changed.jsonl").write_text(changed)
    assert digest(str(tmp_path / "changed.jsonl"), "test") != digest("code", "test")


def write(path: Path, *rows: dict[str, str]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def row(identity: str, split: str = "test", answer: str = "yes") -> dict[str, str]:
    return {"id": identity, "split": split, "prompt": f"is {identity} right?", "answer": answer}


def test_a_file_or_folder_of_ones_own_is_a_benchmark(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = [row("a"), row("b", "train"), row("c", answer="no"), row("d")]
    path = write(folder / "items.jsonl", *rows)
    expected = tuple(Item(r["id"], r["prompt"], r["answer"]) for r in (rows[0], rows[2], rows[3]))
    assert load_items(path, "test") == load_items(str(folder), "test") == expected
    own = benchmark(str(folder))
    assert (own.name, own.chance, own.main) == ("mine", 2 / 3, True)


def test_a_changed_file_is_read_again(tmp_path):
    path = write(tmp_path / "x.jsonl", row("a"))
    assert len(load_items(path, "test")) == 1
    write(tmp_path / "x.jsonl", row("a"), row("b"))
    assert len(load_items(path, "test")) == 2


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "line 1: not a JSON object"),
        ("[1]", "line 1: not a JSON object"),
        (json.dumps(row("a")) + "\n" + json.dumps(row("a")), "line 2: the id 'a' occurs twice"),
        (json.dumps(row("a") | {"answer": ""}), "the field 'answer' is missing"),
        (json.dumps(row("a") | {"prompt": 3}), "the field 'prompt' is missing"),
        (json.dumps(row("a", "tset")), "did you mean 'test'?"),
        (json.dumps(row("a", "train")), "no item has the split 'test'"),
    ],
)
def test_a_malformed_file_is_one_sentence_with_its_place(tmp_path, text, part):
    path = tmp_path / "items.jsonl"
    path.write_text(text)
    with pytest.raises(AblateError) as caught:
        load_items(str(path), "test")
    assert part in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names_get_the_nearest_ones():
    with pytest.raises(AblateError, match="did you mean 'recall'"):
        load_items("recal", "test")
    with pytest.raises(AblateError, match="did you mean 'validation'"):
        load_items("code", "valid")


def test_a_plugin_can_add_a_benchmark_but_not_replace_one(tmp_path, monkeypatch):
    monkeypatch.setattr("ablate.benchmarks.registry.BENCHMARKS", dict(BENCHMARKS))
    path = Path(write(tmp_path / "p.jsonl", row("a")))
    own = register(Benchmark("plugin", "a test", path, chance=1.0))
    assert benchmark("plugin") is own
    with pytest.raises(AblateError, match="registered twice"):
        register(Benchmark("code", "another", path, chance=1.0))


def test_names_come_without_torch():
    code = "import sys, ablate.benchmarks, ablate.backbones; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
