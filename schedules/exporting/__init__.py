"""The work on an export run: find out what changed, owe the differences, send them.

A run passes through two phases. **collect** reads the change logs from the schedule's cursor on (or, where nothing was
compared yet, goes through everyone), and stores in the ledger what is owed, together with the new mark. **send** takes
owed rows in batches: they are marked as sent in a transaction of their own, then the plugin is called in none, then its
answers are stored. Between the two a dry run ends with its plan, and so does a run that the guard stops; a run that
sends exactly such a plan has the second phase alone. A run that sends **again** owes first what is there already. A run
of an erasure knows one phase, **remove**: it removes that person, whatever the mode, and sends nothing else.
Every transaction holds the run's lease, so a worker may be killed at any moment; what it had sent
and not recorded is in doubt, and is settled before anything else is done.

A destination that is down makes the run wait and then collect again, so that only the newest is ever sent.

    due           which exports should run now
    slices        what a worker calls: one run for the length of a slice, step by step
    places        where a run stands, and where it begins
    settling      what a worker that died had sent
    collecting    the first phase
    dispatching   the second
    removing      the only one of an erasure
    calls         whether the destination may be called, and calling it
    ending        the end of a run, or its wait
"""

from __future__ import annotations

from schedules.exporting.due import find_due
from schedules.exporting.slices import work_slice

__all__ = ["find_due", "work_slice"]
