import itertools

import pandas as pd
import pytest

from stats.compare import compare
from stats.contrast import versus
from stats.errors import StatsError
from stats.failed import join, join_verdicts
from stats.table import PairedTable
from stats.verdict import Verdict

V = Verdict


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ((V.SUPERIOR, ""), (V.SUPERIOR, ""), V.SUPERIOR),
        ((V.SUPERIOR_AND_MEANINGFUL, ""), (V.SUPERIOR, ""), V.SUPERIOR),
        ((V.SUPERIOR, ""), (V.INCONCLUSIVE, ""), V.INCONCLUSIVE),
        ((V.SUPERIOR, ""), (V.INFERIOR, ""), V.INCONCLUSIVE),
        ((V.SUPERIOR, ""), (V.EQUIVALENT, "superior"), V.SUPERIOR),
        ((V.SUPERIOR, ""), (V.EQUIVALENT, ""), V.INCONCLUSIVE),
        ((V.EQUIVALENT, "superior"), (V.EQUIVALENT, ""), V.EQUIVALENT),
        ((V.EQUIVALENT, ""), (V.INFERIOR_AND_MEANINGFUL, ""), V.INCONCLUSIVE),
        ((V.INFERIOR, ""), (V.INFERIOR_AND_MEANINGFUL, ""), V.INFERIOR),
        ((V.UNDEFINED, ""), (V.INFERIOR, ""), V.UNDEFINED),
        ((V.IDENTICAL, ""), (V.INFERIOR, ""), V.INCONCLUSIVE),
        ((V.IDENTICAL, ""), (V.IDENTICAL, ""), V.IDENTICAL),
    ],
)
def test_only_what_both_say_is_said(first, second, both):
    assert join_verdicts(first, second) == both
    assert join_verdicts(second, first) == both


def test_a_superior_verdict_needs_both():
    for a, b in itertools.product(V, V):
        joined = join_verdicts((a, ""), (b, ""))
        if joined in (V.SUPERIOR, V.SUPERIOR_AND_MEANINGFUL):
            assert {a, b} <= {V.SUPERIOR, V.SUPERIOR_AND_MEANINGFUL}


def test_effects_are_joined_claim_by_claim():
    def effects(gain):
        rows = [
            {"arm": arm, "backbone": "a", "seed": s, "benchmark": "x", "score": v + 0.1 * (s % 3)}
            for s in range(10)
            for arm, v in (("base", 0.0), ("arm", gain + 0.01 * (s % 2)))
        ]
        contrasts = [versus("arm", "base")]
        table = PairedTable.from_frame(pd.DataFrame(rows))
        return compare(table, cells=contrasts, primary=contrasts, n_resamples=999)

    good, bad = effects(1.0), effects(-1.0)
    (kept,) = join(good.primary, good.primary)
    (lost,) = join(good.primary, bad.primary)
    assert kept.verdict == V.SUPERIOR
    assert not kept.withdrawn
    assert lost.verdict == V.INCONCLUSIVE
    assert lost.withdrawn
    assert join(good.cells, bad.cells)[0].place == "arm in a × x"
    with pytest.raises(StatsError, match="different claims"):
        join(good.primary, good.cells)
