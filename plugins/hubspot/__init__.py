"""The HubSpot plugin: contacts with their properties, and static lists, from profiles and groups."""

from __future__ import annotations

from plugins.hubspot.exporting import HubspotExports

__all__ = ["Hubspot"]


class Hubspot(HubspotExports):
    """One HubSpot account."""
