"""Every page there is, by name."""

from __future__ import annotations

from tests.ui.shop import Shop

LISTS = {
    "home": "/",
    "profiles": "/profiles/",
    "properties": "/properties/",
    "groups": "/groups/",
    "apps": "/apps/",
    "schedules": "/schedules/",
    "runs": "/runs/",
    "events": "/events/",
    "outbound events": "/outbound-events/",
}


def every_page(shop: Shop) -> dict[str, str]:
    """The lists and one of each detail, in each of its states."""
    lapsed, guests = shop.groups["Lapsed customers"].pk, shop.groups["Spring dinner guests"].pk
    assert shop.running is not None
    assert shop.finished is not None
    assert shop.failed is not None
    assert shop.planned is not None
    return LISTS | {
        "patterns": "/-/patterns",
        "events by day": "/events/?over=30-days",
        "schedule with runs": f"/schedules/{shop.schedules['users'].pk}/",
        "export with runs": f"/schedules/{shop.schedules['export'].pk}/",
        "property": f"/properties/{shop.rules['ltv'].pk}/",
        "search": "/search/",
        "search, found": "/search/?q=evan",
        "search, of a kind": "/search/?q=newsletter&kind=schedules",
        "search, not found": "/search/?q=nobody-has-this",
        "shortcuts": "/account/shortcuts/",
        "account": "/account/",
        "groups by size": "/groups/?sort=-size",
        "apps by health": "/apps/?sort=health",
        "runs by duration": "/runs/?sort=-duration&state=complete",
        "found": "/profiles/?q=evan",
        "not found": "/profiles/?q=nobody",
        "of a group": f"/profiles/?group={lapsed}",
        "profile": f"/profiles/{shop.evan.pk}/",
        "changes": f"/profiles/{shop.evan.pk}/changes/",
        "merges": f"/profiles/{shop.evan.pk}/merges/",
        "webhook of an App": f"/apps/{next(iter(shop.apps.values())).pk}/hook/of-app/",
        "if unique": f"/properties/{shop.rules['locale'].pk}/unique/",
        "past": f"/profiles/{shop.evan.pk}/past/?at=2026-01-31T12:00",
        "calculated group": f"/groups/{lapsed}/",
        "manual group": f"/groups/{guests}/",
        "moves": f"/groups/{lapsed}/log/",
        "overlap": f"/groups/overlap/?group={lapsed}&group={guests}",
        "breakdown": f"/groups/{lapsed}/breakdown/?property=locale",
        "used by": f"/groups/{lapsed}/users/",
        "why in a group": f"/profiles/why/{lapsed}/?who=evan",
        "running run": f"/runs/{shop.running.pk}/",
        "finished run": f"/runs/{shop.finished.pk}/",
        "changes of a run": f"/runs/{shop.finished.pk}/changes/",
        "failed run": f"/runs/{shop.failed.pk}/",
        "failed runs": "/runs/?state=failed",
        "no such runs": "/runs/?state=pending",
        "plan": f"/runs/{shop.planned.pk}/plan/",
        "plan, searched": f"/runs/{shop.planned.pk}/plan/?kind=removed&q=nobody-has-this",
        "run with a plan": f"/runs/{shop.planned.pk}/",
        "schedule that the guard stopped": f"/schedules/{shop.schedules['list'].pk}/",
        "ledger": f"/schedules/{shop.schedules['list'].pk}/people/",
        "ledger, rejected": f"/schedules/{shop.schedules['export'].pk}/people/?state=rejected",
        "sent": f"/schedules/sent/{shop.evan.pk}/",
        "exports of a profile": f"/schedules/of-profile/{shop.evan.pk}/",
        "exports of a group": f"/schedules/of-group/{lapsed}/",
    }
