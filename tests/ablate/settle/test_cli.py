"""``ablate settle`` as it is typed, up to the first run."""

import pytest

from ablate import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["settle.pairs=5"], "5 pairs per cell are too few to settle a claim"),
        (["axes=memory"], "configurations of the mechanism are compared"),
        (["a.yaml", "b.yaml"], "2 studies are named"),
        (["nowhere.yaml"], "cannot read nowhere.yaml"),
        (["exploratory=perhaps"], "unknown value 'perhaps'"),
        (["settle.paris=20"], "did you mean 'settle.pairs'"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(arguments, message, tmp_path, capsys):
    home = tmp_path / "home"
    assert cli.main(["settle", *arguments, f"home={home}"]) == cli.WRONG_INPUT
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not home.exists()


def test_a_file_may_be_named_by_its_path_alone(tmp_path, monkeypatch, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("axes: none\nsesoi: 2\nbackbones: [qwen3-tiny]\n", encoding="utf-8")
    asked = []
    monkeypatch.setattr(cli, "_conclude", lambda conduct, study, *rest: asked.append(study) or 0)
    assert cli.main(["settle", str(file), "settle.pairs=30", f"home={tmp_path / 'home'}"]) == 0
    (study,) = asked
    assert (study.name, study.sesoi, study.settle.pairs) == ("mine", 2.0, 30)
    assert "30 (10000 to 10029)" in capsys.readouterr().out
