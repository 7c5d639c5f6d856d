"""How tests read a report: the terminal's text, and a page's outline."""

import io
from html.parser import HTMLParser

from rich.console import Console

from ablate.report import Findings, terminal_report


def printed(findings: Findings, *, colour: bool = False, width: int = 100) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
    )
    console.print(terminal_report(findings))
    return console.file.getvalue()  # type: ignore[attr-defined]


class Outline(HTMLParser):
    """Tags that are opened and never closed, sources that are loaded, and the visible text."""

    VOID = frozenset({"meta", "img", "br", "link", "rect", "line", "circle"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.tags: list[str] = []
        self.alts: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "href", "data", "poster"):
                (self.anchors if (value or "").startswith("#") else self.loads).append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "alt":
                self.alts.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)
