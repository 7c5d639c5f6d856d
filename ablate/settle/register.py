"""Registration: a plan is written down once, before its first run, and only then applied."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.errors import AblateError
from ablate.home import Home
from ablate.ledger import Ledger, Registered, RunRecord
from ablate.plan import Plan
from ablate.report.files import write_bytes
from ablate.settle.plan_file import Change, changes, plan_content
from ablate.settle.refuse import (
    confirmation_runs,
    refuse_registered_seeds,
    refuse_used_seeds,
)
from ablate.spec import canonical_json, content_key


@dataclass(frozen=True)
class Registration:
    """The plan that a settling study follows.

    ``content`` is what is followed, ``digest`` its content key, ``written`` when it was registered
    (Unix time). ``exploratory`` says why the study does not follow what was registered (empty: it
    does).
    """

    study: str
    digest: str
    content: Mapping[str, Any]
    written: float
    exploratory: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The plan file's content."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.written))
        data: dict[str, Any] = {"digest": self.digest, "written": stamp}
        if self.exploratory:
            data["exploratory"] = list(self.exploratory)
        return (json.dumps(data | {"content": self.content}, indent=2) + "\n").encode()


def register(
    plan: Plan,
    home: Home,
    ledger: Ledger,
    records: Mapping[str, RunRecord],
    *,
    exploratory: bool = False,
) -> Registration:
    """Register the plan, or find that it is the registered one; the driver's lock must be held.

    A changed plan replaces the registered one as long as none of that one's runs has an outcome.

    Args:
        plan: the settling plan.
        home: has the plan file.
        ledger: the record of plans.
        records: every run of the ledger.
        exploratory: go on with a changed plan although runs exist.

    Raises:
        AblateError: the plan was changed after runs exist, the file was edited, or a seed was used
            before or is in another study's plan; nothing was changed.
    """
    name = plan.study.name
    content = plan_content(plan)
    digest = content_key(content)
    earlier = ledger.registered(name)
    if not earlier:
        _refuse_seeds(plan, ledger, records)
        return _write(home, ledger, name, digest, content)
    last = earlier[-1]
    registered = json.loads(last.content)
    file = home.plan_file(name)
    _refuse_edited(file, last)
    if digest == last.digest:
        refuse_used_seeds(plan, records, registered=last.written)
        found = Registration(name, digest, content, last.written)
        if not file.exists():
            _write_file(file, found)
        return found
    runs = confirmation_runs(
        records, [b["digest"] for b in registered["backbones"].values()], registered["adapters"],
        registered["seeds"], registered["world"],
    )  # fmt: skip
    if not any((record.finished or 0.0) >= last.written for record in runs):
        _refuse_seeds(plan, ledger, records)
        return _write(home, ledger, name, digest, content)
    changed = changes(registered, content)
    if not exploratory:
        raise AblateError(
            f"the plan of {name!r}, registered on {_day(last.written)}, has runs already, and "
            f"{_told(changed)}",
            place=str(file),
            value=[change.key for change in changed],
            hint="go back to that plan, give the study another name=... and settle.first=..., or "
            "go on with exploratory=yes",
        )
    reason = (
        f"the plan was changed after runs of it existed ({_told(changed)}); it was registered on "
        f"{_day(last.written)} as {last.digest}"
    )
    return Registration(name, digest, content, time.time(), (reason,))


def _refuse_seeds(plan: Plan, ledger: Ledger, records: Mapping[str, RunRecord]) -> None:
    """Refuse to register seeds that were used, or that another study's plan has."""
    refuse_used_seeds(plan, records, registered=None)
    refuse_registered_seeds(plan, ledger.registrations())


def methods_sentences(registration: Registration) -> tuple[str, ...]:
    """What an appendix says of the plan: claim, gates, stopping rule, failed runs."""
    said, gates = registration.content, registration.content["gates"]
    start = (
        "The analysis departs from the registered plan and is exploratory."
        if registration.exploratory
        else f"The plan was registered on {_day(registration.written)}, before the first run "
        f"(digest {registration.digest})."
    )
    return (
        start,
        f"The claim: {said['claim']}, for {'; '.join(gates['order'])}.",
        f"Each claim: {gates['test']}.",
        f"Order and level: {gates['level']}; {gates['procedure']}",
        f"Stopping rule ({said['stopping']['rule']}): {said['stopping']['says']}.",
        *said["exclusion"],
    )


def _told(changed: tuple[Change, ...]) -> str:
    """The first change in words, and the names of the others."""
    first, *others = changed
    names = list(dict.fromkeys(change.key.split(".")[0] for change in others))
    names = [name for name in names if name != first.key.split(".")[0]]
    return str(first) + (f" (changed with it: {', '.join(names)})" if names else "")


def _day(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(when))


def _write(
    home: Home, ledger: Ledger, name: str, digest: str, content: Mapping[str, Any]
) -> Registration:
    """The ledger first: what it has and the file lacks is written again by the next command."""
    written = ledger.register(name, digest, canonical_json(content)).written
    found = Registration(name, digest, content, written)
    _write_file(home.plan_file(name), found)
    return found


def _write_file(file: Path, registration: Registration) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, registration.to_bytes())
    except OSError as error:
        raise AblateError(
            f"cannot write the plan: {error.strerror}", place=str(file), value=file
        ) from error


def _refuse_edited(file: Path, last: Registered) -> None:
    """The file must say what the ledger has; a file that is gone is written again."""
    if not file.exists():
        return
    hint = "delete it, and the same command writes the registered plan again"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        content, digest = data["content"], data["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise AblateError(
            "the registered plan can no longer be read", place=str(file), hint=hint
        ) from None
    changed = changes(json.loads(last.content), content)
    if changed or digest != last.digest:
        what = str(changed[0]) if changed else f"digest was {last.digest} and is {digest}"
        raise AblateError(
            f"the file was edited after the plan was registered: {what}",
            place=str(file),
            value=digest,
            hint=hint,
        )
