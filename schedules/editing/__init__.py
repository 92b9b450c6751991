"""The editors of schedules: what an App offers, the forms of both directions, previews. Pages only; they write nothing
themselves but call `schedules/schedules_store.py`."""
