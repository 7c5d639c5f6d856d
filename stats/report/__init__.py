"""A page of everything that a results table allows: ``build.report`` makes it.

``roles`` says what the columns are, ``registry`` lists the sections of each kind of table, each
section is a function from the study to a ``section.Section``, and ``page`` turns them into one HTML
file.
"""
