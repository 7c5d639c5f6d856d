from ablate.report import Findings
from ablate.report.answer import primary_sentences
from ablate.report.panel import SECTIONS
from ablate.report.screen import first_screen
from tests.ablate.report.reading import Outline


def test_the_page_starts_with_the_answer(page: str, clean: Findings):
    text = " ".join(Outline(page).text)
    at = [text.index(line.text) for line in first_screen(clean)]
    assert at == sorted(at)
    assert at[-1] < text.index("The mechanism, averaged") < text.index("llama-tiny × code")


def test_the_sections_stand_in_the_order_of_the_questions(page: str):
    titles = [f">{title}</h2>" for title in (*SECTIONS.values(), "How to read a verdict")]
    at = [page.index(title) for title in titles]
    assert at == sorted(at)
    assert page.index('id="answer"') < at[0] < page.index('id="design"')


def test_every_sentence_on_the_primary_family_is_in_its_section(page: str, clean: Findings):
    parts = {key: page.split(f'<section id="{key}"')[1].split("</section>")[0] for key in SECTIONS}
    for effect, sentence in primary_sentences(clean):
        home = "real" if effect is not None and effect.group == "mechanism" else "axes"
        assert sentence in " ".join(Outline(f"<div>{parts[home].split('>', 1)[1]}</div>").text)


def test_the_page_has_every_row_of_both_families(page: str, clean: Findings):
    cells = len(clean.main.cells) + len(clean.main.primary)
    assert clean.retention_comparison is not None
    cells += len(clean.retention_comparison.cells) + len(clean.retention_comparison.primary)
    assert page.count('<svg class="bar') == cells == 72 + 5 + 18 + 5
