"""The walkthrough in docs/ does what it says."""

import re
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "walkthrough.py"


def test_a_fresh_process_generates_the_same_tokens(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    out = capsys.readouterr().out
    assert "a fresh process generated the same tokens" in out
    assert "with the block disabled, the tokens differ" in out
    right, without = map(int, re.search(r"correct: (\d+) of 64; .* (\d+)\n", out).groups())
    assert right >= without + 20


def test_another_answer_of_the_fresh_process_is_an_error(monkeypatch):
    script = runpy.run_path(str(SCRIPT))
    names = script["main"].__globals__
    monkeypatch.setitem(names, "train", lambda handle: None)
    tokens = iter([5, 6])
    monkeypatch.setitem(names, "generate", lambda model, prompts: [[next(tokens)]] * len(prompts))

    class Finished:
        stdout = "[[3]]"

    monkeypatch.setattr(names["subprocess"], "run", lambda *given, **more: Finished)
    with pytest.raises(SystemExit, match="other tokens"):
        names["main"]()
