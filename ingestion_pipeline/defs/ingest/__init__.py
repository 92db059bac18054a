"""Documents to a searchable index: the assets of the five stages, and their checks."""
