"""What TALAN costs beside a matched LoRA: parameters, time, memory and kernels.

``python -m studies.benchmarks.overhead`` builds a randomly initialised backbone of Qwen3-0.6B's
shape (nothing is downloaded) with LoRA of rank 16 on all linear layers, unmerged, and a second one
with a block attached. The baseline carries no hook of TALAN; both share every tensor of backbone
and adapter. Times are seconds of rounds in which each contestant runs once, in random order: on a
GPU of the wall, on a CPU of the process, with one thread, so that what else runs there counts less.
The ratio is the median over the rounds, with a distribution-free interval of 95 %. Two lines below
it tell more: `bypassed` is the attached model inside ``handle.disabled()``, so it shows what hooks
cost and how fine the clock is; `block alone` is 1 + (time of the block by itself) / (time of the
baseline), which the noise of the machine disturbs less, but which leaves the hooks out.

Attention masks are given, as ``generate`` and collators do. Prefill is a pass of the decoder stack,
without the head, which would only add to both. Decoding starts at the named context and goes on
from there. A training step is forward, backward and AdamW.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shlex
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

import talan
from studies.benchmarks.contestants import (
    SHAPES,
    Pair,
    Task,
    TrainingStep,
    build,
    configuration,
    stack_of,
)
from studies.benchmarks.measurement import (
    CLOCKS,
    Goal,
    Interval,
    launches,
    operations,
    peak_growth,
    ratios,
    resident_bytes,
    rounds,
    shares,
)
from studies.benchmarks.overhead_table import (
    Row,
    environment,
    line,
    markdown,
    plain_values,
)

SHARE, FORWARD, DECODE, MEMORY = Goal(0.01), Goal(1.01), Goal(1.02), Goal(1.01)
CONTEXT = 512

# Rounds of each part by device; `--pairs` overrides.
PAIRS = {
    "cpu": {"prefill": 9, "decode": 15, "train": 3, "generate": 6},
    "cuda": {"prefill": 41, "decode": 101, "train": 21, "generate": 9},
}
# (batch, tokens) of prefills, and batch sizes of decoding.
PREFILLS = {"cpu": [(1, 512)], "cuda": [(1, 512), (1, 2048), (8, 512)]}
BATCHES = {"cpu": [1], "cuda": [1, 8]}


@dataclass
class Bench:
    """Measures one shape on one device and collects the rows."""

    name: str
    pair: Pair
    pairs: int | None
    compiled: bool = False
    rows: list[Row] = field(default_factory=list)

    def add(
        self,
        part: str,
        what: str,
        found: tuple[float | None, float],
        unit: str,
        ratio: Interval | float,
        goal: Goal | None = None,
    ) -> None:
        """Keep a row and print it at once; `found` are the values without and with TALAN."""
        self.rows.append(Row(self.name, part, what, *found, unit, ratio, goal))
        print(line(self.rows[-1]), flush=True)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self.pair.device.type

    def race(
        self, part: str, what: str, tasks: dict[str, Task], goal: Goal | None, warm_up: int
    ) -> None:
        """Time `plain` and `talan`, and the details where they are among the tasks."""
        count = self.pairs or PAIRS[self.device][part]
        if self.compiled:
            tasks = {name: task for name, task in tasks.items() if name != "block alone"}
            warm_up += 8
        taken = rounds(tasks, count, warm_up=warm_up, clock=CLOCKS[self.device])
        middle = {name: statistics.median(each) for name, each in taken.items()}
        for name, title, compare in (
            ("talan", what, ratios),
            ("bypassed", "  bypassed", ratios),
            ("block alone", "  block alone", shares),
        ):
            if name in taken:
                ratio = compare(taken[name], taken["plain"])
                aim = goal if name == "talan" else None
                self.add(part, title, (middle["plain"], middle[name]), "s", ratio, aim)

    def share(self) -> None:
        """Trainable parameters over those of the backbone, for every shape."""
        config = self.pair.handle.config
        for name, shape in SHAPES.items():
            if name == "tiny" != self.name:
                continue
            whole, lora = shape.backbone_parameters(), shape.lora_parameters()
            block = shape.block_parameters(config)
            both = lora + block
            self.add("share", f"LoRA + block, {name}", (lora, both), "", both / whole, SHARE)
            self.add("share", "  the block", (None, block), "", block / whole, SHARE)

    def prefill(self) -> None:
        """A forward pass without gradients over a whole prompt."""
        for batch, length in PREFILLS[self.device]:
            goal = FORWARD if (batch, length) == (1, CONTEXT) else None
            with torch.inference_mode():
                tasks = self.pair.prefills(batch, length)
                self.race("prefill", f"prefill {batch} x {length}", tasks, goal, warm_up=1)

    def decode(self) -> None:
        """One token at a time on a growing cache."""
        for batch in BATCHES[self.device]:
            with torch.inference_mode():
                tasks = self.pair.decoding_steps(batch, CONTEXT)
                self.race("decode", f"decode {batch} x 1 after {CONTEXT}", tasks, DECODE, warm_up=3)

    def generate(self) -> None:
        """``generate`` with a static cache: on a GPU its decoding is compiled."""
        new = 128
        name = "static, compiled" if self.device == "cuda" else "static"
        tasks = self.pair.generations(CONTEXT, new)
        self.race("generate", f"generate {CONTEXT} + {new}, {name}", tasks, DECODE, warm_up=2)

    def train(self) -> None:
        """A training step without and with gradient checkpointing."""
        for checkpointing in (False, True):
            with self.pair.training(checkpointing=checkpointing):
                given = self.pair.given(1, CONTEXT)
                tasks: dict[str, Task] = {
                    name: TrainingStep(model, given) for name, model in self.pair.models.items()
                }
                what = f"train 1 x {CONTEXT}" + (", checkpointing" if checkpointing else "")
                self.race("train", what, tasks, None, warm_up=1 if self.device == "cuda" else 0)

    def memory(self) -> None:
        """Peak memory of a prefill and of a training step."""
        given = self.pair.given(1, CONTEXT)

        def prefill(model: nn.Module) -> Task:
            def run() -> object:
                with torch.inference_mode():
                    return stack_of(model)(**given, use_cache=True)

            return run

        self.peak(f"prefill 1 x {CONTEXT}", prefill)
        for checkpointing in (False, True):
            with self.pair.training(checkpointing=checkpointing):
                what = f"train 1 x {CONTEXT}" + (", checkpointing" if checkpointing else "")
                self.peak(what, lambda model: TrainingStep(model, given))

    def peak(self, what: str, task: Callable[[nn.Module], Task]) -> None:
        """Peak memory of a task; on a GPU its second run, for libraries allocate in the first."""
        total, growth = {}, {}
        for name, model in self.pair.models.items():
            run = task(model)
            if self.device == "cuda":
                run()
            kept = run.state() if isinstance(run, TrainingStep) else []
            growth[name] = peak_growth(run, self.pair.device)
            still = resident_bytes([*model.parameters(), *model.buffers(), *kept])
            total[name] = still + growth[name]
            del run, kept
        for title, found, goal in (
            (f"peak, {what}", total, MEMORY),
            ("  above what stays", growth, None),
        ):
            values = (found["plain"], found["talan"])
            self.add("memory", title, values, "B", found["talan"] / found["plain"], goal)

    def kernels(self) -> None:
        """Tensor operations, and launches on a GPU, of a prefill and of a decoding step."""
        counters = {} if self.compiled else {"operations": operations}
        if self.device == "cuda":
            counters["launches"] = launches
        with torch.no_grad():  # inference mode would hide what composite operations do
            for what, tasks in (
                (f"prefill 1 x {CONTEXT}", self.pair.prefills(1, CONTEXT)),
                (f"decode 1 x 1 after {CONTEXT}", self.pair.decoding_steps(1, CONTEXT)),
            ):
                for unit, counter in counters.items():
                    if self.device == "cuda":
                        for name in ("plain", "talan"):
                            tasks[name]()
                    found = counter(tasks["plain"]), counter(tasks["talan"])
                    self.add("kernels", f"{unit}, {what}", found, "", found[1] / found[0])


PARTS = ("share", "kernels", "memory", "prefill", "decode", "train", "generate")
"""The parts in the order they run. On a CPU `generate` runs only where it is asked for."""


def run(bench: Bench, parts: list[str], deadline: float) -> list[str]:
    """Run parts in turn until the deadline, and say which did not run or failed."""
    missing = []
    for part in parts:
        if time.monotonic() > deadline:
            missing.append(f"{bench.name}, {part}: not run, the time is up (--minutes)")
            continue
        try:
            getattr(bench, part)()
        except Exception as error:  # the other parts are still worth having
            traceback.print_exc()
            first = str(error).partition("\n")[0]
            missing.append(f"{bench.name}, {part}: failed with {type(error).__name__}: {first}")
    return missing


def arguments(given: list[str]) -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.benchmarks.overhead", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--shape", choices=tuple(SHAPES), nargs="+", default=["qwen3-0.6b"], metavar="NAME",
        help=f"sizes of the backbone: {', '.join(SHAPES)} (default: qwen3-0.6b)",
    )  # fmt: skip
    parser.add_argument(
        "--dtype", choices=("bfloat16", "float32"), default="bfloat16",
        help="of the backbone; LoRA is float32 as PEFT keeps it (default: bfloat16)",
    )  # fmt: skip
    parser.add_argument(
        "--cast-lora", action="store_true", help="LoRA in the dtype of the backbone as well"
    )
    parser.add_argument("--pairs", type=int, help="rounds of every timing")
    parser.add_argument("--quick", action="store_true", help="six rounds: just enough for 95 %%")
    parser.add_argument("--only", choices=PARTS, nargs="+", metavar="PART",
                        help=f"of {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument("--talan", nargs="+", default=[], metavar="FIELD=VALUE",
                        help="settings of the block other than the default")  # fmt: skip
    parser.add_argument("--compile-block", action="store_true",
                        help="after handle.compile()")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=5.0,
                        help="no part begins later than this (default: %(default)s)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    found = parser.parse_args(given)
    if found.pairs is not None and found.pairs < 1:
        parser.error(f"--pairs: {found.pairs} is no number of rounds; give 1 or more")
    if found.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device: torch sees no CUDA device here; choose cpu")
    try:
        found.config = configuration(found.talan)
    except talan.TalanError as error:
        parser.error(str(error))
    return found


def command(given: list[str]) -> str:
    """The command that measured, without the files it wrote, which change nothing."""
    kept: list[str] = []
    options = iter(given)
    for each in options:
        if each in ("--json", "--markdown"):
            next(options)
        elif not each.startswith(("--json=", "--markdown=")):
            kept.append(each)
    return shlex.join(["python", "-m", "studies.benchmarks.overhead", *kept])


def main(given: list[str] | None = None) -> int:
    """Measure and print; 1 if a part failed or did not run."""
    given = sys.argv[1:] if given is None else given
    found = arguments(given)
    torch.set_num_threads(1)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is chatty
    device, dtype = torch.device(found.device), getattr(torch, found.dtype)
    parts = found.only or [each for each in PARTS if each != "generate" or device.type == "cuda"]
    about = {
        **environment(device),
        "dtype": found.dtype,
        "lora dtype": found.dtype if found.cast_lora else "float32",
        "block": found.config.to_dict(),
        "command": command(given),
    }
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    deadline = time.monotonic() + 60 * found.minutes
    rows: list[Row] = []
    missing: list[str] = []
    for name in found.shape:
        pair = build(SHAPES[name], found.config, device, dtype, cast_adapter=not found.cast_lora)
        if found.compile_block:
            pair.handle.compile()
        bench = Bench(name, pair, 6 if found.quick else found.pairs, found.compile_block)
        print(f"\n{name}\n{line(None)}", flush=True)
        missing += run(bench, parts, deadline)
        rows += bench.rows
        del pair, bench
        gc.collect()
        record = {**about, "rows": [plain_values(row) for row in rows], "missing": missing}
        if found.json:
            found.json.write_text(json.dumps(record, indent=1) + "\n")
        if found.markdown:
            found.markdown.write_text(markdown(rows, about, missing))
    print("\nstraddles: the interval contains the goal, so the data do not decide")
    print("\n".join(missing), end="\n" if missing else "")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
