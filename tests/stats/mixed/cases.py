"""The data sets of this room, and R's results on them (see ``data/lme4_reference.json``)."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from stats.mixed.fit import LmmFit, lmm

DATA = Path(__file__).parent / "data"
FACTORS = {
    "dyestuff": ("Batch",),
    "dyestuff2": ("Batch",),
    "sleepstudy": ("Subject",),
    "penicillin": ("plate", "sample"),
    "machines": ("Worker", "Machine", "wm"),
    "machines_unbalanced": ("Worker", "Machine", "wm"),
    "oats": ("Block", "Variety", "nitro", "bv"),
    "tvbo": ("Assessor", "TVset", "Picture"),
    "study_small": ("arm", "backbone", "benchmark", "cell", "block", "run"),
    "study_medium": ("arm", "backbone", "benchmark", "cell", "block", "run"),
}
MODELS: dict[str, dict[str, Any]] = json.loads(
    (DATA / "lme4_reference.json").read_text(encoding="utf-8")
)["models"]


@functools.cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(DATA / f"{name}.csv")


def data(name: str) -> pd.DataFrame:
    return _read(name).copy()


@functools.cache
def fitted(name: str) -> LmmFit:
    """R's model ``name``, fitted here."""
    model = MODELS[name]
    return lmm(
        model["formula"], data(model["file"]), reml=model["reml"], contrasts=model["contrasts"],
        factors=FACTORS[model["file"]],
    )  # fmt: skip


def r_name(fit: LmmFit, name: str) -> str:
    """``Machine[B]`` as R calls it: ``MachineB``, and under sum coding ``Machine2``."""

    def one(part: str) -> str:
        match = re.fullmatch(r"(.+)\[(.+)\]", part)
        if match is None:
            return part
        factor, level = match[1], match[2]
        if fit.design.contrasts == "treatment":
            return factor + level
        return f"{factor}{fit.design.factors[factor].index(level) + 1}"

    return ":".join(one(part) for part in name.split(":"))


def lmm_of(formula: str, name: str, **options: Any) -> LmmFit:
    """A model of one of the data sets, with its factors declared."""
    return lmm(formula, data(name), factors=FACTORS[name], **options)
