"""The Customer.io plugin: people with attributes and groups from profiles, and their events."""

from __future__ import annotations

from plugins.customerio.exporting import CustomerioExports
from plugins.customerio.forwarding import CustomerioForwards

__all__ = ["Customerio"]


class Customerio(CustomerioExports, CustomerioForwards):
    """One Customer.io workspace."""
