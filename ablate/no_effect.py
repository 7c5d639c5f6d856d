"""Settings of the command line that a study would not use: refused, so that none is lost unseen.

A file may hold settings for several commands; what is typed for one command is meant for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ablate.errors import AblateError
from ablate.parse import Source
from ablate.space import NAMES
from ablate.study import Study, flatten

OTHER_KEYS = {
    ("run", "budget"): "ask for a design within a time by: ablate plan budget=2h",
    ("search", "budget"): "give search.trials=...",
    ("settle", "budget"): "give settle.pairs=..., or settle.budget=... pairs",
    ("search", "seeds"): "give search.seeds=... of each trial and search.confirm=... fresh ones",
    ("settle", "seeds"): "give settle.pairs=... and, to start elsewhere, settle.first=...",
}
"""By command and key: what to write instead of a key that the command does not use."""


def refuse_other_keys(command: str, settings: Iterable[str]) -> None:
    """Refuse keys that belong to another command.

    Raises:
        AblateError: with what to write instead.
    """
    for setting in settings:
        key, _, value = setting.partition("=")
        if hint := OTHER_KEYS.get((command, key)):
            raise AblateError(
                f"ablate {command} does not use it",
                place=f"command line: {key}",
                value=value,
                hint=hint,
            )


def refuse_without_effect(study: Study, typed: Source) -> None:
    """Refuse typed settings that the rest of the study leaves without effect.

    Raises:
        AblateError: with the setting that would have the effect.
    """
    for key, raw in flatten(typed.values).items():
        why, hint = _without_effect(study, key, str(raw))
        if why:
            raise AblateError(why, place=typed.place(key), value=raw, hint=hint)


def _without_effect(study: Study, key: str, text: str) -> tuple[str, str]:
    """Why a setting has no effect, and what to write; empty where it has one."""
    group, _, name = key.partition(".")
    if group == "levels" and name not in study.axes:
        varied = ",".join((*study.axes, name))
        first = text.split(",")[0]
        return (
            f"{name} is not varied, so that its levels are not used",
            f"vary it by axes={varied}, or fix it by at.{name}={first}",
        )
    if study.draws.count:
        if key == "budget":
            return (
                "a design is proposed for fixed hyperparameters",
                "leave hp.draws out; a study of draws takes as long as its plan says",
            )
        if key == "seeds":
            return "each draw has seeds of its own", "say how many by hp.seeds=2"
        if group in ("train", "block") and name in NAMES and name in study.space.varied:
            return f"{name} is drawn from its range", f"fix it in all draws by hp.{name}={text}"
    if key in ("settle.budget", "settle.look") and study.settle.stopping == "fixed":
        return (
            f"with a fixed number of pairs {key} is not used",
            f"give settle.pairs={text}, or settle.stopping=sequential with it",
        )
    return "", ""
