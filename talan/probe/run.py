"""The probe: a few forward passes per benchmark, and the measures taken from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from talan.controls import Donors
from talan.errors import TalanError
from talan.handle import Handle
from talan.probe import curves, slots
from talan.probe.prompts import Prompts
from talan.probe.result import ProbeResult, Row
from talan.probe.streams import evaluating, forward
from talan.probe.substitutions import absent, lend, memory_of, rotations, substitutions
from talan.probe.sums import Reference, Sums

AllSums = dict[tuple[str, int], Sums]
"""The sums of one benchmark by variant and draw."""


def probe(
    handle: Handle,
    prompts: Mapping[str, Prompts],
    *,
    donors: Prompts | None = None,
    n_random: int = 8,
    generator: torch.Generator | None = None,
    rows: int = 64,
) -> ProbeResult:
    """Measure what the active block of `handle` does to the stream on prompts of benchmarks.

    Every measure is defined in `talan.probe.MEASURES`, every variant in `talan.probe.VARIANTS`.
    All are taken in the same checkpoint: "without" is the block bypassed. `donors` lend their
    memory to variant `shuffled`. `n_random` random directions are drawn from `generator` (seed 0
    if None). The model runs on `rows` prompts at a time, in eval mode and without gradients, and
    is afterwards as it was, also after an error.

    `TalanError`: the handle is not active, there are no prompts, a control `shuffled` has no
    other sequence to read, a count is below 1.
    """
    _check(handle, prompts, donors, n_random, rows)
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    device = next(handle.model.parameters()).device
    prompts = {name: each.to(device) for name, each in prompts.items()}
    with evaluating(handle.model):
        streams = {name: _streams(handle, each, rows) for name, each in prompts.items()}
        memories = {name: memory_of(handle, prompts[name], streams[name]) for name in prompts}
        bank = None if donors is None else _bank(handle, donors.to(device), prompts, rows)
        lent = {name: lend(name, prompts, memories, bank) for name in prompts}
        needed = lent if handle.config.control == "shuffled" else dict.fromkeys(lent)
        used = {
            name: slots.usage(handle.block, prompts[name], streams[name], needed[name], rows)
            for name in prompts
        }
        mean = torch.stack([each.slots for each in used.values()]).mean(0).float()
        site_device = next(iter(streams.values())).stream.device
        turns = rotations(n_random, handle.decoder.hidden_size, generator)
        turns = [turn.to(site_device) for turn in turns]
        sums = {
            name: _sums(handle, prompts[name], lent[name], mean, turns, rows) for name in prompts
        }
    found = {name: _curves(each) for name, each in sums.items()}
    counts = {
        name: int(each.pooled(handle.config.conditioning).sum()) for name, each in prompts.items()
    }
    first = next(iter(prompts))
    return ProbeResult(
        rows=(
            *_per_layer(found),
            *_per_benchmark(sums, found, used, handle.site),
            *_per_pair(found, handle.site),
            Row("", "", None, "gate", "", 0, slots.gate(handle.block)),
            Row("", "", None, "scale", "", 0, slots.scale(handle.block)),
        ),
        site=handle.site,
        layers=len(handle.decoder.layers),
        prompts={name: len(each) for name, each in prompts.items()},
        tokens=counts,
        dtype=str(streams[first].stream.dtype).removeprefix("torch."),
        undefined={**absent(handle, lent[first]), **_undefined(handle, sums[first])},
    )


def _check(
    handle: Handle, prompts: Mapping[str, Prompts], donors: Prompts | None, n_random: int, rows: int
) -> None:
    if not handle.active:
        raise TalanError(
            f"side path {handle.name!r} is not active, so it writes nothing",
            place="probe",
            value=handle.name,
            hint="call handle.activate() first, or probe the active one",
        )
    if not prompts or "" in prompts:
        raise TalanError(
            "a benchmark has no name" if prompts else "there is no benchmark",
            place="probe.prompts",
            value=list(prompts),
            hint="give a mapping from the names of benchmarks to their Prompts",
        )
    for place, count in (("n_random", n_random), ("rows", rows)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise TalanError(
                f"{count!r} is too few", place=f"probe.{place}", value=count, hint="give 1 or more"
            )
    alone = len(prompts) == 1 and len(next(iter(prompts.values()))) == 1 and donors is None
    if alone and handle.config.control == "shuffled":
        raise TalanError(
            "control 'shuffled' reads the memory of another sequence, and there is one prompt",
            place="probe.prompts",
            value=1,
            hint="give more prompts, or donors=",
        )


def _streams(handle: Handle, prompts: Prompts, rows: int) -> Donors:
    """The stream at the site with the block bypassed."""
    parts = []
    for batch in prompts.batches(rows):
        chosen = prompts.select(batch)
        parts.append(handle.collect_donors(chosen.ids, chosen.mask.long()))
    stream = torch.cat([part.stream for part in parts])
    return Donors(stream, torch.cat([part.valid for part in parts]).to(stream.device))


def _bank(handle: Handle, donors: Prompts, prompts: Mapping[str, Prompts], rows: int) -> Donors:
    """The memories of the donors that are used."""
    wanted = max(len(each) for each in prompts.values())
    donors = donors.select(torch.arange(min(wanted, len(donors))))
    return memory_of(handle, donors, _streams(handle, donors, rows))


def _sums(
    handle: Handle,
    prompts: Prompts,
    lent: Donors | None,
    mean: Tensor,
    turns: list[Tensor],
    rows: int,
) -> AllSums:
    """Run every variant on one benchmark. Batches are the outer loop: streams are kept for one."""
    sums: AllSums = {}
    for batch in prompts.batches(rows):
        chosen = prompts.select(batch)
        pooled = chosen.pooled(handle.config.conditioning)
        with handle.disabled():
            without = forward(handle, chosen, pooled)
        base = None
        if _has_adapter(handle):
            with handle.disabled(adapter=True):
                base = forward(handle, chosen, pooled)
        reference = Reference(without, base)
        for variant, draw, context in substitutions(handle, lent, mean, turns):
            with context(batch):
                varied = forward(handle, chosen, pooled)
            sums.setdefault((variant, draw), Sums()).add(reference, varied)
    return sums


def _has_adapter(handle: Handle) -> bool:
    return hasattr(handle.model, "disable_adapter")


Curves = dict[tuple[str, int], dict[str, Tensor]]
"""The curves of one benchmark by variant and draw, then by measure."""


def _curves(sums: AllSums) -> Curves:
    return {
        key: {name: take(each) for name, take in curves.LAYERWISE.items()}
        for key, each in sums.items()
    }


def _per_layer(found: Mapping[str, Curves]) -> Iterator[Row]:
    for measure in curves.LAYERWISE:
        for benchmark, by_variant in found.items():
            for (variant, draw), taken in by_variant.items():
                for layer, value in enumerate(taken[measure].tolist()):
                    yield Row(benchmark, "", layer, measure, variant, draw, value)


def _per_benchmark(
    sums: Mapping[str, AllSums],
    found: Mapping[str, Curves],
    used: Mapping[str, slots.Usage],
    site: int,
) -> Iterator[Row]:
    for benchmark, by_variant in found.items():

        def row(measure: str, variant: str, draw: int, value: float, name: str = benchmark) -> Row:
            return Row(name, "", None, measure, variant, draw, value)

        growth = {
            key: curves.amplification(taken["rel_diff"], site) for key, taken in by_variant.items()
        }
        generic = [value for (variant, _), value in growth.items() if variant == "random"]
        for (variant, draw), value in growth.items():
            yield row("amplification", variant, draw, value)
        for (variant, draw), value in growth.items():
            if variant != "random":
                relative = curves.amplification_over_random(value, generic)
                yield row("amplification_over_random", variant, draw, relative)
        for (variant, draw), each in sums[benchmark].items():
            yield row("kl", variant, draw, curves.kl(each))
        for take in (
            slots.slot_usage_entropy,
            slots.slot_attention_entropy,
            slots.compress_entropy,
        ):
            yield row(take.__name__, "block", 0, take(used[benchmark]))


def _per_pair(found: Mapping[str, Curves], site: int) -> Iterator[Row]:
    for first, second in itertools.combinations(found, 2):
        for measure, take in curves.PAIRWISE.items():
            for (variant, draw), taken in found[first].items():
                a, b = taken["rel_diff"], found[second][variant, draw]["rel_diff"]
                value = take(a[site:], b[site:])
                yield Row(first, second, None, measure, variant, draw, value)


def _undefined(handle: Handle, sums: AllSums) -> dict[str, str]:
    """Why the rows of a measure are NaN whatever the prompts, by its name."""
    reasons = {}
    if not _has_adapter(handle):
        for name in curves.NEEDS_ADAPTER:
            reasons[name] = "the model has no adapter that could be switched off"
    if not next(iter(sums.values())).prompts:
        reasons["kl"] = "the model has no head"
    if handle.config.memory == 1:
        for name in ("slot_usage_entropy", "slot_attention_entropy"):
            reasons[name] = "there is one slot"
    if handle.config.control == "static":
        reasons["compress_entropy"] = "a static memory compresses nothing"
    if handle.config.writeback != "gate":
        reasons["gate"] = f"writeback rule {handle.config.writeback!r} has no gate"
    if handle.config.control != "random":
        reasons["scale"] = "the block has no scale: its control is not 'random'"
    if len(handle.decoder.layers) - handle.site < 2:
        reasons["curve_correlation"] = "fewer than 3 states lie at or above the site"
    return reasons
