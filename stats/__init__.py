"""Inference on paired runs: labelled long tables in, frozen result objects out.

The whole analysis of a table is three imports::

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

Its parts stand alone: ``paired`` (t), ``signflip``, ``bootstrap``, ``effect`` (d_z), ``family``
(max-T, Holm), ``verdict``, ``reach`` (what a number of pairs can show). Importing the package
loads none of them.
"""
