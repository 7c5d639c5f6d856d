"""The subcommands of ``python -m stats``, one module each.

A module has ``LINE`` (one line on what it does), ``EXAMPLES`` (the help's last part), ``declare``
(adds its arguments to a parser) and ``run`` (arguments to the text to print). Modules import
nothing heavy before ``run``.
"""
