"""The life of a task: messages, intake, planning of runs, and the work of a run.

Belongs here: decisions about tasks, kept pure and apart from their effects. Does not belong
here: storage of tasks (``registry``), transport (``streams``), Dagster (``defs``, ``execution``).
"""
