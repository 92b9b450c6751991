"""Outbound events: processed events that are passed on to an App, with data of the profile they are about.

models          Subscription and its parts, OutboundCursor, OutboundDelivery
subscriptions   what a person decides; the only writer of Subscription and its parts
bodies          which events concern a subscription, and the JSON that goes out: SQL, no table is written
cursors         how far each subscription has read the events; the only writer of OutboundCursor
owing           makes the rows of the ledger, with their bodies
deliveries      the ledger from there on; with owing the only writer of OutboundDelivery
sending         hands rows to the App's plugin, reads its answers
delivering      the work on one subscription: read, owe, send
trying          preview and test event
queries         reads for pages and the API
pages           what pages show; forms, editing, views, delivery_views and urls are the pages themselves
"""

from __future__ import annotations
