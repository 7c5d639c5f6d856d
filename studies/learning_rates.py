"""Which learning rates suit an adapter: ``python -m studies.learning_rates vera,ia3 1e-2,5e-2``.

One run of the default study (seed 0 of its explored seeds, no block) per adapter and rate, scored
on validation items, printed as rows of a Markdown table. More ``key=value`` arguments change the
study: ``backbones=llama-tiny train.steps=200``.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence

from ablate import backbones
from ablate.adapters import find_adapter
from ablate.parse import read_overrides
from ablate.plan import part_of
from ablate.recipes import TRAIN_RECIPE
from ablate.result import RunResult
from ablate.spec import UNADAPTED, RunSpec
from ablate.study import Study, load_study
from ablate.worker import execute_one


def run_spec(study: Study, adapter: str, lr: float) -> RunSpec:
    """The run of an adapter at a rate on the study's first backbone."""
    return RunSpec(
        backbone=backbones.resolve(study.backbones[0]),
        adapter=adapter,
        adapter_recipe=0 if adapter == UNADAPTED else find_adapter(adapter).recipe,
        train_recipe=TRAIN_RECIPE,
        hp=dataclasses.replace(study.hp, lr=lr),
        mix=tuple(part_of(name, "train") for name in study.mix),
        block=None,
        seed=study.seeds[0],
        device="cpu",
        precision=study.precision,
        benchmarks=tuple(part_of(name, "validation") for name in study.benchmarks),
    )


def row(spec: RunSpec, adapter: str, rate: str, result: RunResult) -> str:
    """A row: adapter, rate, what trains, the mean over the mix, then every benchmark, in %."""
    scores = {score.benchmark: 100 * score.score for score in result.scores}
    mixed = [scores[part.benchmark] for part in spec.mix if part.benchmark in scores]
    mean = f"{sum(mixed) / len(mixed):.1f}" if mixed else result.outcome
    names = [part.benchmark for part in spec.benchmarks]
    each = " | ".join(f"{scores[name]:.1f}" if scores else "–" for name in names)
    return f"| {adapter} | {rate} | {result.cost.adapter_parameters:,} | {mean} | {each} |"


def rows(study: Study, adapters: Sequence[str], rates: Sequence[str]) -> Iterator[str]:
    """The table, row by row; the backbone as it is comes first."""
    as_is = run_spec(study, UNADAPTED, 1.0)
    names = [part.benchmark for part in as_is.benchmarks]
    yield f"| adapter | lr | trained | mean | {' | '.join(names)} |"
    yield "|---|---" + "|---:" * (2 + len(names)) + "|"
    yield row(as_is, "as it is", "–", execute_one(as_is))
    for adapter in adapters:
        for rate in rates:
            spec = run_spec(study, adapter, float(rate))
            yield row(spec, adapter, rate, execute_one(spec))


def main(arguments: Sequence[str]) -> None:
    """Print the table for adapters and rates, each a list with commas."""
    adapters, rates, *overrides = arguments
    study = load_study(read_overrides(overrides))
    for line in rows(study, adapters.split(","), rates.split(",")):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
