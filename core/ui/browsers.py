"""What a browser calls itself, in words: "Firefox on Windows". A guess, for people to recognise their own."""

from __future__ import annotations

from django.utils.translation import gettext, gettext_lazy

# The first that is found counts: most browsers also claim to be others.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", gettext_lazy("A Python program")),
)
_SYSTEMS = (
    ("iPhone", gettext_lazy("an iPhone")),
    ("iPad", gettext_lazy("an iPad")),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def name_browser(agent: str) -> str:
    """ "Safari on an iPhone"; "A browser" when it says nothing that is known."""
    browser = next((name for mark, name in _BROWSERS if mark.lower() in agent.lower()), gettext("A browser"))
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return gettext("%(browser)s on %(system)s") % {"browser": browser, "system": system} if system else str(browser)
