"""The table of capabilities in Markdown: `python -m tests.talan.matrix.documentation`."""

from __future__ import annotations

from tests.talan.cases import ADAPTERS, BACKBONES, CASES
from tests.talan.matrix.capabilities import CAPABILITIES


def markdown() -> str:
    """The table of adapters, and below it why each no is one; then the levels' exceptions."""
    notes: list[str] = []
    lines = [
        f"| behaviour | {' | '.join(ADAPTERS)} | backbones | levels |",
        "|---" * (len(ADAPTERS) + 3) + "|",
    ]
    for name, row in CAPABILITIES.items():
        marks = []
        for adapter in ADAPTERS:
            no = row.no.get(adapter)
            if no is not None and no.why not in notes:
                notes.append(no.why)
            marks.append("yes" if no is None else f"no ({notes.index(no.why) + 1})")
        backbones = [f"not {each}: {row.no[each].why}" for each in BACKBONES if each in row.no]
        levels = [f"not {each}: {row.no[each].why}" for each in CASES if each in row.no]
        some = "all" if "b" in row.on else "several" if "e" in row.on else "qwen3"
        on_backbones = "; ".join([some, *backbones])
        some = {"t": "all", "a": "default", "b": "default", "e": "default"}.get(
            row.on[-1], "several"
        )
        lines.append(
            f"| {name} | {' | '.join(marks)} | {on_backbones} | {'; '.join([some, *levels])} |"
        )
    lines += ["", *(f"{number}. {why}." for number, why in enumerate(notes, 1))]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown())
