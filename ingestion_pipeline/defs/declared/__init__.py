"""What users declare in YAML: a folder with a ``defs.yaml`` each, as `dg scaffold defs` makes it.

Belongs here: collections, sources and pipelines of an installation. Does not belong here: anything
that the program itself brings.
"""
