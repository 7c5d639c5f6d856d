"""Inference on paired runs: labelled long tables in, frozen result objects out.

The paired analysis of a table is three imports::

    from stats.table import PairedTable, read_table
    from stats.contrast import versus
    from stats.compare import compare

    table = PairedTable.from_frame(read_table("results.csv"), percent=True)
    outcome = compare(
        table,
        cells=[versus("talan", "lora")],
        primary=[versus("talan", "lora")],
        sesoi=1.0,
    )
    print(outcome.summary())

What else there is, and where:

- ``replication.replicate``: in how many cells, against every baseline, on average, in a new cell
- ``equivalence.analysis``: the same within a margin; ``equivalence.noninferiority``: no worse
- ``decompose.analysis.decompose``: where variation comes from; ``mixed.fit.lmm``: mixed models
- ``factorial``: aliases, effect sizes, many levels against one
- ``items``: over items, too; ``describe``: IQM, profiles, P(improvement), best of n
- ``planning``: power, pairs, budgets; ``sequential``: adding pairs honestly
- ``repeatability``: the noise floor of single runs
- ``figures``, ``report``, ``cli``: pictures, a page of everything, ``python -m stats``

Parts stand alone. Importing the package loads none of them.
"""
