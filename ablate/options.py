"""How a command is carried out, as opposed to what the study is: none of it changes a result."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ablate import parse
from ablate.keys import KEYS, Key
from ablate.no_effect import refuse_without_effect
from ablate.parse import Raw, Source
from ablate.progress import MODES
from ablate.study import DEFAULT_STUDY, Study, load_study


def _workers(raw: Raw, place: str) -> int:
    if raw == "auto":
        return default_workers()
    return parse.integer(raw, place, low=1)


PROBED = ("reference", "no")

OPTION_KEYS: dict[str, Key] = {
    "study": Key(parse.text, "a shipped study by name, or the path of a .yaml file"),
    "home": Key(parse.text, "folder of the records (default: $ABLATE_HOME, else ./ablate-home)"),
    "workers": Key(_workers, "training processes, one thread each (default: one per core)"),
    "progress": Key(
        lambda raw, place: parse.one_of(raw, place, MODES), f"display: {', '.join(MODES)}"
    ),
    "probe": Key(
        lambda raw, place: parse.one_of(raw, place, PROBED),
        "which arms run looks inside of: reference (the reference levels) or no",
    ),
    "budget": Key(parse.duration, "plan: propose the best design within a time, such as 2h"),
    "exploratory": Key(
        lambda raw, place: parse.one_of(raw, place, ("yes", "no")) == "yes",
        "settle: yes goes on with a changed plan and marks the report as exploratory",
    ),
}


@dataclass(frozen=True)
class Options:
    """Where records go, how many workers train, what is displayed, what is probed, whether a
    settling study may go on with a changed plan, and the seconds that a planned one may take."""

    study: str
    home: str | None
    workers: int
    progress: str
    probe: str
    exploratory: bool = False
    budget: float | None = None


def read_arguments(arguments: list[str]) -> tuple[Study, Options]:
    """``key=value`` arguments as a validated study and the options.

    Raises:
        AblateError: unknown key or value; nothing has been touched.
    """
    source = parse.read_overrides(arguments)
    known = [*KEYS, *OPTION_KEYS]
    parse.check_keys(source.places, known, source)
    own = {
        key: OPTION_KEYS[key].parse(source.values[key], source.place(key))
        for key in OPTION_KEYS
        if key in source.values
    }
    rest = {key: value for key, value in source.values.items() if key not in OPTION_KEYS}
    options = Options(
        study=own.get("study", DEFAULT_STUDY),
        home=own.get("home"),
        workers=own.get("workers", default_workers()),
        progress=own.get("progress", "auto"),
        probe=own.get("probe", PROBED[0]),
        exploratory=own.get("exploratory", False),
        budget=own.get("budget"),
    )
    typed = Source(rest, source.places)
    study = load_study(typed, options.study)
    refuse_without_effect(study, source)
    return study, options


def default_workers() -> int:
    """One per core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
