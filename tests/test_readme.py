"""What the README shows works as shown."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ablate.toys import make_toys

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = {
    name: block
    for block, name in re.findall(r"```python\n(# (\w+)\.py.*?)```", README, flags=re.DOTALL)
}


def run(*command, cwd, path=""):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(path)])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_plugin_examples_run(name, tmp_path):
    (tmp_path / f"{name}.py").write_text(EXAMPLES[name], encoding="utf-8")
    settings = re.search(r"ablate run (.*)", EXAMPLES[name]).group(1).split()
    toys = {s.partition("=")[0]: s for s in make_toys(tmp_path).settings()}
    shown = {s.partition("=")[0]: s for s in settings}
    if "levels.mixer" in shown:
        del toys["levels.memory"]
    done = run(
        "ablate",
        "run",
        *(toys | shown).values(),
        "home=home",
        "probe=no",
        cwd=tmp_path,
        path=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    wanted = "wide+talan" if "adapters" in shown else "mixer=reverse"
    results = (tmp_path / "home/reports/toy/results.csv").read_text(encoding="utf-8")
    assert wanted in results


def test_there_are_two_examples():
    assert set(EXAMPLES) == {"my_arms", "my_mixers"}


def test_every_linked_file_is_there():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_commands_shown_are_accepted(tmp_path):
    for line in re.findall(r"^ablate (plan \S.*?)\s+#", README, flags=re.MULTILINE):
        done = run("ablate", *line.split(), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
