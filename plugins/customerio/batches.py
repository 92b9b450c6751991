"""Many operations in few calls: within the sizes that Customer.io takes, in their order, one outcome for each.

What is refused as a whole is halved until the operation at fault is alone. When Customer.io can take nothing just now,
or the time is over, all that is left is answered without a call; so nothing overtakes what has to be sent again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence

from plugins.contracts import ACCEPTED, Halt, Outcome, OutcomeKind, Retry
from plugins.customerio.calling import Line, Operation, Refused

MOST_BYTES = 490_000  # of one call, which may have 500 KB
MOST_BYTES_OF_ONE = 32_000  # of one operation, which may have 32 KB
SECONDS = 25.0  # for one batch; with one last slow call this stays below the time a worker may be silent

_NO_TIME = Outcome(OutcomeKind.RETRY, "The batch ran out of time before this one; it goes out with the next.", 1.0)


class Sending:
    """The calls of one batch of the product's."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._until = time.monotonic() + SECONDS
        self._stopped: Outcome | None = None

    def send(self, operations: Mapping[int, Operation]) -> dict[int, Outcome]:
        """The outcome of each operation, by its place."""
        outcomes: dict[int, Outcome] = {}
        for places in _chunk(operations):
            outcomes |= self._send(operations, places)
        return outcomes

    def _send(self, operations: Mapping[int, Operation], places: Sequence[int]) -> dict[int, Outcome]:
        if self._stopped is None and time.monotonic() > self._until:
            self._stopped = _NO_TIME
        if self._stopped is not None:
            return dict.fromkeys(places, self._stopped)
        try:
            refused = self._call([operations[place] for place in places])
        except Refused as error:
            middle = len(places) // 2
            if not middle:
                return {places[0]: Outcome(OutcomeKind.REJECT, error.reason)}
            return self._send(operations, places[:middle]) | self._send(operations, places[middle:])
        except Retry as error:
            self._stopped = Outcome(OutcomeKind.RETRY, error.reason, error.after)
        except Halt as error:
            self._stopped = Outcome(OutcomeKind.HALT, error.reason)
        else:
            return {
                place: Outcome(OutcomeKind.REJECT, refused[index]) if index in refused else ACCEPTED
                for index, place in enumerate(places)
            }
        return dict.fromkeys(places, self._stopped)

    def _call(self, operations: Sequence[Operation]) -> Mapping[int, str]:
        if len(operations) > 1 or _size(operations[0]) <= MOST_BYTES_OF_ONE:
            return self._line.send(operations)
        if operations[0]["action"] != "event":
            raise Refused("a person's attributes may have 32 KB at once, and these have more")
        self._line.track(operations[0])
        return {}


def _chunk(operations: Mapping[int, Operation]) -> Iterator[list[int]]:
    """The places of what goes into one call. What is larger than one operation may be goes alone."""
    places: list[int] = []
    total = 0
    for place, operation in operations.items():
        size = _size(operation) + 2
        if places and (total + size > MOST_BYTES or size > MOST_BYTES_OF_ONE):
            yield places
            places, total = [], 0
        places.append(place)
        total += size
        if size > MOST_BYTES_OF_ONE:
            yield places
            places, total = [], 0
    if places:
        yield places


def _size(operation: Operation) -> int:
    return len(json.dumps(operation))
