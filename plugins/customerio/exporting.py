"""Keeping people at Customer.io in step with profiles, in batches; `plugins.customerio.changes` says with what.

Suppressed people stay away: Customer.io ignores what is sent about them, and says that it took it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from plugins.base import ExportsProfiles
from plugins.contracts import ACCEPTED, Field, Outcome, OutcomeKind, ProfileExport, Reject, Target
from plugins.customerio.app import CustomerioApp
from plugins.customerio.batches import Sending
from plugins.customerio.calling import Operation
from plugins.customerio.changes import check_key, check_target, plan


class CustomerioExports(CustomerioApp, ExportsProfiles):
    """The part of the plugin that takes profiles."""

    batch_size: ClassVar[int] = 500

    def fields(self, target_options: Mapping[str, Any]) -> Sequence[Field]:
        if key := target_options.get("key_field"):
            check_key(str(key))
        return ()  # any attribute is made when it is first written

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        check_target(target)
        outcomes = [ACCEPTED] * len(batch)
        plans: dict[int, Sequence[Operation]] = {}
        for place, item in enumerate(batch):
            try:
                plans[place] = plan(item, target)
            except Reject as error:
                outcomes[place] = Outcome(OutcomeKind.REJECT, error.reason)
        sending = Sending(self.line)
        for step in range(max(map(len, plans.values()), default=0)):
            due = {
                place: operations[step]
                for place, operations in plans.items()
                if step < len(operations) and outcomes[place].kind is OutcomeKind.ACCEPTED
            }
            for place, outcome in sending.send(due).items():
                outcomes[place] = outcome
        return outcomes
