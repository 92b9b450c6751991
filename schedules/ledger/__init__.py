"""The ledger: what each destination holds of each profile, and what it is owed. The only writer of `ExportRecord`.

Called by `schedules/exporting/`, always in a transaction that holds the lease of the schedule's run: so there is one
writer for each schedule at a time, and a worker that lost its lease writes nothing. When a schedule is deleted, which
no run outlives, `schedules_store` has its rows removed.

Every key at a destination has at most one profile that answers for it. When a key passes to another profile, what
stands there passes with it (`owing.hand_over`): so no removal is ever sent for a key that someone else stands for, and
nothing is left behind under a key that no one remembers.

    rows        a row as a sender gets it
    owing       what is owed, planned, released, held back, owed again
    attempts    rows on their way: claimed, answered, in doubt
    removals    of people who are being erased, and forgetting
"""
