"""Every campaign over few worlds, and the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worlds import __main__ as command
from tests.worlds.campaign import Campaign, every_campaign


@pytest.mark.parametrize("campaign", every_campaign().values(), ids=lambda c: c.name)
def test_campaign(campaign: Campaign) -> None:
    for outcome in campaign.run(campaign.short):
        assert outcome.holds, outcome.sentence
        assert outcome.bites or not outcome.gate.short, (
            f"the mutant stays in the band: {outcome.sentence}"
        )


def test_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["--list", "--only", "back"]) == 0
    assert capsys.readouterr().out == "backbones\n"
    # in two worlds nothing can leave its band, which the table says
    assert command.main(["--only", "backbones", "--worlds", "2"]) == 1
    out = capsys.readouterr()
    assert "CANNOT FAIL" in out.out
    assert "0 of 1 claims hold." in out.out
    assert "2 of 2 worlds" in out.err
    for wrong in (
        ["--only", "nothing like it"],
        ["--write", str(tmp_path), "--only", "null"],
        ["--write", str(tmp_path / "none.md")],
        ["--worlds", "1"],
        ["--first", "-1"],
    ):
        with pytest.raises(SystemExit) as stop:
            command.main(wrong)
        assert stop.value.code == 2
