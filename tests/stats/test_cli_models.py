"""The commands on models, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stats.cli import main
from tests.stats.decompose.studies import study

DATA = Path(__file__).parent / "mixed" / "data"
SLEEP = [str(DATA / "sleepstudy.csv"), "Reaction ~ Days + (Days | Subject)"]
OATS = [str(DATA / "oats.csv"), "yield ~ Variety * nitro + (1 | Block) + (1 | bv)"]


def out_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = main(list(arguments))
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    return captured.out


def test_json_contract_of_lmm(capsys: pytest.CaptureFixture[str]) -> None:
    out = json.loads(out_of(capsys, "lmm", *SLEEP, "--json", "--ddf", "satterthwaite"))
    assert out["formula"] == "Reaction ~ Days + (Days | Subject)"
    assert (out["n"], out["method"], out["boundary"]) == (180, "REML", False)
    assert out["criterion"] == pytest.approx(1743.62827195849, abs=1e-6)
    assert [row["term"] for row in out["fixed"]] == ["(Intercept)", "Days"]
    keys = {"term", "estimate", "se", "df", "statistic", "p", "ci_low", "ci_high"}
    assert all(row.keys() == keys for row in out["fixed"])
    assert out["fixed"][1]["df"] == pytest.approx(17.000002042333, rel=1e-3)
    assert out["random"][1]["correlation"] == pytest.approx(0.0656, abs=1e-3)
    assert out["residual"]["sd"] == pytest.approx(25.59182, rel=1e-5)
    assert out["anova"][0]["F"] == pytest.approx(45.853, rel=1e-4)
    assert out["anova"][0].keys() >= {"term", "num_df", "den_df", "F", "p"}


def test_numbers_in_text_files_are_factors_only_where_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = json.loads(out_of(capsys, "lmm", *OATS, "--json"))
    named = json.loads(out_of(capsys, "lmm", *OATS, "--factor", "nitro", "--json"))
    assert len(plain["fixed"]) == 6
    assert len(named["fixed"]) == 12
    summed = json.loads(
        out_of(capsys, "lmm", *OATS, "--factor", "nitro", "--contrasts", "sum", "--json")
    )
    assert summed["anova"] == [pytest.approx(row) for row in named["anova"]]


def test_maximum_likelihood_and_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    out = json.loads(out_of(capsys, "lmm", *SLEEP, "--ml", "--intervals", "--json"))
    assert out["method"] == "ML"
    assert out["criterion"] == pytest.approx(1751.939344, abs=1e-5)
    assert out["intervals"][0]["low"] == pytest.approx(14.3814, abs=1e-3)


@pytest.mark.parametrize("command", ["lmm", "anova"])
def test_text_is_narrow_and_plain(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = out_of(capsys, command, *OATS, "--factor", "nitro")
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    assert "Kenward-Roger" in text


def test_anova_with_marginal_means(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*OATS, "--factor", "nitro", "--emm", "nitro", "--reference", "0"]
    text = out_of(capsys, "anova", *arguments)
    assert "averaged equally over Variety" in text
    out = json.loads(out_of(capsys, "anova", *arguments, "--json"))
    assert out["emm"]["means"][0]["mean"] == pytest.approx(79.3888889)
    assert [row["term"] for row in out["versus_reference"]] == ["0.2 - 0", "0.4 - 0", "0.6 - 0"]
    for row in out["anova"]:
        assert row["eta2_low"] <= row["eta2"]


def test_decompose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.csv"
    study(sd={"seed": 1.0}).to_csv(path, index=False)
    text = out_of(capsys, "decompose", str(path), "--baseline", "lora")
    assert "share within cells" in text
    out = json.loads(out_of(capsys, "decompose", str(path), "--baseline", "lora", "--json"))
    assert out["components"][0]["name"] == "mechanism"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lmm", OATS[0], "yield ~ Varety + (1 | Block)"], "did you mean 'Variety'"),
        (["lmm", OATS[0], "yield ~ Variety + (1 | Block"], "position 19: a '(' without its ')'"),
        (["lmm", OATS[0], "Block ~ Variety + (1 | bv)"], "'I' is not a number"),
        (["lmm", *OATS, "--ddf", "kenward"], "did you mean 'kenward-roger'"),
        (["lmm", *OATS, "--ml", "--ddf", "kenward-roger"], "Kenward-Roger needs a REML fit"),
        (["lmm", *OATS, "--factor", "Nitro"], "did you mean 'nitro'"),
        (["anova", *OATS, "--reference", "0"], "a reference needs marginal means"),
        (["anova", *OATS, "--emm", "nitroo"], "'nitroo' is not a factor"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
