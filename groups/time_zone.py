"""The project has another time zone: groups whose rules read dates are recalculated.

The work for it is stored together with the new zone and becomes due when no process reckons with the old one any more.
"""

from __future__ import annotations

from django.db import transaction

from core.accounts import project
from core.accounts.actors import SYSTEM
from core.work import leases
from core.work.leases import Lease
from groups import groups_store


def follow() -> None:
    """Have the groups recalculated if the zone has changed."""
    leases.run_slice(project.ZONE_WORK, _step)


def _step(lease: Lease) -> bool:
    with transaction.atomic():
        lease.hold(mark=None)
        groups_store.recalculate_dated_groups(actor=SYSTEM)
        lease.finish()
    return False
