"""The pre-training stream: batches of questions in the pre-training forms, never a held-out one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from studies.contents import Content, contents, draw_table, draw_word
from studies.forms import PRETRAINING_FORMS, prompt, table_question, table_text
from studies.tokenizer import EOS, PAD, VOCABULARY

IGNORE = -100

# arithmetic takes longest to learn, reversing words shortest
SHARES = {"arithmetic": 0.55, "algebra": 0.33, "code": 0.12}


@dataclass(frozen=True)
class Batch:
    """Token ids (B, T), padded on the right, and the token expected after each (B, T).

    Positions that are not scored expect -100. `texts` are the rows as text.
    """

    ids: torch.Tensor
    expected: torch.Tensor
    texts: tuple[str, ...]


def encode(rows: Sequence[Sequence[tuple[str, str]]]) -> Batch:
    """Rows of (question, answer) segments as a batch; after every answer <eos> is expected.

    With several segments in a row, the next question follows the answer directly, so one row asks
    several things at the price of one.
    """
    width = max(sum(len(q) + len(a) for q, a in row) for row in rows)
    ids = np.full((len(rows), width), VOCABULARY[PAD])
    expected = np.full((len(rows), width), IGNORE)
    texts = []
    for i, row in enumerate(rows):
        end = 0
        for question, answer in row:
            symbols = [VOCABULARY[symbol] for symbol in question + answer]
            ids[i, end : end + len(symbols)] = symbols
            start, end = end + len(question), end + len(symbols)
            expected[i, start - 1 : end] = [*symbols[len(question) :], VOCABULARY[EOS]]
        texts.append("".join(question + answer for question, answer in row))
    return Batch(torch.from_numpy(ids), torch.from_numpy(expected), tuple(texts))


class Curriculum:
    """How long the tables of recall may be: two pairs at first, more whenever a length is mastered.

    Looking up a key needs two attention layers that work together. Tables of two or three pairs
    teach that within a few hundred steps; long ones from the start never did.
    """

    LONGEST = 16
    _MASTERY = 0.93
    _MEMORY = 0.9
    # the second form joins when the first is read
    _SECOND_FORM_FROM = 6

    def __init__(self) -> None:
        self.longest = 3
        self._right = 0.0

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that tables are written in at this stage."""
        return PRETRAINING_FORMS[: 1 if self.longest < self._SECOND_FORM_FROM else 2]

    @property
    def finished(self) -> bool:
        """Whether tables are as long as they will get."""
        return self.longest == self.LONGEST

    def learn(self, right: float) -> None:
        """Take note of the share of right answers (in [0, 1]) in the last batch of tables."""
        self._right = self._MEMORY * self._right + (1 - self._MEMORY) * right
        if self._right > self._MASTERY and not self.finished:
            self.longest += 1
            self._right -= 0.02


class Stream:
    """Endless pre-training batches from one seed.

    Args:
        seed: of the numpy generator behind all draws.
        short: rows per batch of arithmetic, algebra and code.
        pairs: key-value pairs per batch of recall (a third of it once the longest tables are
            mastered); the rows are as many as hold them, at most 96.
    """

    def __init__(self, seed: int, short: int = 96, pairs: int = 384) -> None:
        self.curriculum = Curriculum()
        self._rng = np.random.default_rng(seed)
        self._short, self._pairs = short, pairs
        self._pools = {skill: contents(skill, "train") for skill in SHARES}

    def short_batch(self) -> Batch:
        """Questions of arithmetic, algebra and code in mixed forms."""
        skills = self._rng.choice(len(SHARES), size=self._short, p=list(SHARES.values()))
        return encode([[self._question(list(SHARES)[i])] for i in skills])

    def table_batch(self) -> Batch:
        """Tables of 2 pairs up to the curriculum's longest, as many in each row of the batch.

        Every key of a table is asked for once, in random order.
        """
        n_pairs = int(self._rng.integers(2, self.curriculum.longest + 1))
        pairs = self._pairs // 3 if self.curriculum.finished else self._pairs
        rows = min(96, pairs // n_pairs)
        return encode([self._table(n_pairs) for _ in range(rows)])

    def _question(self, skill: str) -> tuple[str, str]:
        pool = self._pools[skill]
        content: Content = pool[self._rng.integers(len(pool))]
        if skill == "code" and self._rng.random() < 0.5:
            content = draw_word(self._rng)
        return prompt(content, self._one_of(PRETRAINING_FORMS)), content.answer

    def _table(self, n_pairs: int) -> list[tuple[str, str]]:
        form = self._one_of(self.curriculum.forms)
        table = draw_table(self._rng, n_pairs, "train")
        row = []
        for asked, index in enumerate(self._rng.permutation(n_pairs)):
            key, value = table[index]
            lead = "" if asked else table_text(table, form)
            row.append((lead + table_question(key, form), value))
        return row

    def _one_of(self, forms: Sequence[str]) -> str:
        return forms[int(self._rng.integers(len(forms)))]
