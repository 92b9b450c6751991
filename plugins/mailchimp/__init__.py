"""The Mailchimp plugin: an audience's members, merge fields and tags from profiles and groups, and member events;
back come the members as they are there, those who left and bounced among them.

`plugins.mailchimp.standin` answers as Mailchimp does, for tests and for the demo: put its address into `server_url`.
"""

from __future__ import annotations

from plugins.mailchimp.exporting import MailchimpExports
from plugins.mailchimp.forwarding import MailchimpForwards
from plugins.mailchimp.importing import MailchimpImports
from plugins.mailchimp.retrieving import MailchimpRetrieves

__all__ = ["Mailchimp"]


class Mailchimp(MailchimpImports, MailchimpRetrieves, MailchimpExports, MailchimpForwards):
    """One Mailchimp account."""
