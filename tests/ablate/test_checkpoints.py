"""Checkpoints in the home: whole or not there, whatever happens to the process that writes them."""

import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from ablate.checkpoints import (
    TYPICAL_BYTES,
    clear_unfinished,
    expected_bytes,
    find,
    keep,
    megabytes,
    size_bytes,
)
from ablate.plan import make_plan
from tests.ablate.test_cli import ROOT


def fill(text):
    def write(folder):
        (folder / "a").write_text(text, encoding="utf-8")
        (folder / "b").write_text(text, encoding="utf-8")

    return write


def content(place):
    return {file.name: file.read_text(encoding="utf-8") for file in place.iterdir()}


def test_a_checkpoint_is_found_once_it_is_whole(tmp_path):
    folder = tmp_path / "new" / "checkpoints"
    assert find(folder, "k") is None
    place = keep(folder, "k", fill("1"))
    assert find(folder, "k") == place
    assert content(place) == {"a": "1", "b": "1"}
    assert [path.name for path in folder.iterdir()] == ["k"]


def test_keeping_again_replaces_the_whole_folder(tmp_path):
    keep(tmp_path, "k", fill("1"))
    place = keep(tmp_path, "k", lambda folder: (folder / "c").write_text("2", encoding="utf-8"))
    assert content(place) == {"c": "2"}
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_an_error_while_writing_leaves_the_old_checkpoint(tmp_path):
    keep(tmp_path, "k", fill("1"))

    def fail(folder):
        fill("2")(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        keep(tmp_path, "k", fail)
    assert content(tmp_path / "k") == {"a": "1", "b": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


KILLED = """
import os, signal, sys
from pathlib import Path
from ablate import checkpoints
def write(folder):
    (folder / "a").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
checkpoints.keep(Path(sys.argv[1]), "k", write)
"""


def test_a_killed_writer_leaves_nothing_that_is_taken_for_a_checkpoint(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": ROOT},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("a")), "the writer was not killed in the middle"
    assert find(tmp_path, "k") is None
    clear_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_space_that_is_needed_is_that_of_runs_alike(tmp_path, toys):
    specs = list(make_plan(toys.study()).specs.values())
    blocks = [spec for spec in specs if spec.block is not None]
    assert expected_bytes(tmp_path, specs) is None
    keep(tmp_path, blocks[0].key, fill("12345"))
    assert size_bytes(tmp_path) == 10
    assert expected_bytes(tmp_path, specs) == 10 * len(blocks)
    named = dataclasses.replace(blocks[0].backbone, name="qwen3-tiny", digest="other")
    embedded = [dataclasses.replace(spec, backbone=named) for spec in blocks]
    assert expected_bytes(tmp_path, embedded) == TYPICAL_BYTES * len(blocks)


def test_sizes_are_written_for_people():
    sizes = {4e4: "0.0 MB", 7.3e5: "0.7 MB", 4.2e7: "42 MB", 3.14e9: "3.1 GB"}
    assert {size: megabytes(size) for size in sizes} == sizes
