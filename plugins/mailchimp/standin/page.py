"""The stand-in's page: what has arrived, for people. HTML without scripts, light and dark as the browser asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

from plugins.mailchimp.standin.store import Store

_SHOWN = 100  # rows of a page

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d6d9de, #3b4048); --muted: light-dark(#545b66, #a9b0bb);
  --paper: light-dark(#ffffff, #16191d); --card: light-dark(#f5f6f8, #1f2329); --ink: light-dark(#1b1f24, #eceff3);
  --link: light-dark(#0b5bb5, #8ec5ff); --tag: light-dark(#fdf0c8, #4a3d0f); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.25rem; margin: 2.25rem 0 .5rem; }
p { margin: .35rem 0; max-width: 46rem; } .muted { color: var(--muted); }
a { color: var(--link); } :focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 1rem 0 0; padding: 0; }
nav [aria-current] { font-weight: 650; color: inherit; text-decoration: none; }
form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin: .75rem 0; }
label { display: block; font-weight: 600; } input, button { font: inherit; padding: .4rem .6rem; border-radius: .35rem;
  border: 1px solid var(--muted); background: var(--paper); color: var(--ink); min-height: 2.5rem; }
button { background: var(--card); cursor: pointer; }
.table { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .55rem .75rem; }
th { font-weight: 600; background: var(--card); white-space: nowrap; } tr + tr > *, tbody tr > * {
  border-top: 1px solid var(--line); } td { overflow-wrap: anywhere; min-width: 6rem; }
tbody th { background: none; font-weight: 500; white-space: normal; overflow-wrap: anywhere; min-width: 11rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 .75rem; margin: 0; } dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
td ul { display: flex; flex-wrap: wrap; gap: .3rem; list-style: none; margin: 0; padding: 0; }
td li { background: var(--tag); border-radius: .3rem; padding: 0 .45rem; }
article { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin: .75rem 0; }
h3 { font-size: 1rem; margin: 0; } time { white-space: nowrap; }
pre { background: var(--card); border-radius: .35rem; padding: .75rem; margin: .5rem 0 0; overflow-x: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; font: .875rem/1.45 ui-monospace, monospace; }
"""


def show(store: Store, query: Mapping[str, str]) -> str:
    """The page for one audience: the one that the query names, else the first."""
    lists = store.lists()
    chosen = next((found for found in lists if found["id"] == query.get("list")), lists[0] if lists else None)
    if chosen is None:
        main = "<p>There is no audience yet.</p>"
    else:
        main = _members(store, chosen, query) + _events(store, chosen)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(f"{chosen['name']} – " if chosen else "")}Stand-in for Mailchimp</title>
<link rel="stylesheet" href="/standin/style.css"></head>
<body>
<header><h1>Stand-in for Mailchimp</h1>
<p class="muted">Not Mailchimp itself: a program that answers as its API does and shows here what it received. No email
is ever sent. Load the page again to see what has come since.</p>
{_navigation(lists, chosen)}</header>
<main>{main}</main>
</body></html>
"""


def _navigation(lists: list[Mapping[str, Any]], chosen: Mapping[str, Any] | None) -> str:
    if len(lists) < 2:
        return ""
    items = "".join(
        f'<li><a href="/?{escape(urlencode({"list": found["id"]}))}"'
        f"{' aria-current=page' if found is chosen else ''}>{escape(found['name'])}</a></li>"
        for found in lists
    )
    return f'<nav aria-label="Audiences"><ul>{items}</ul></nav>'


# ---------------------------------------------------------------- members


def _members(store: Store, chosen: Mapping[str, Any], query: Mapping[str, str]) -> str:
    asked = query.get("email", "").strip()
    members, total = store.members(chosen["id"], sort="last_changed", descending=True, limit=_SHOWN)
    _, archived = store.members(chosen["id"], status="archived", limit=0)
    if asked:
        found = store.member(chosen["id"], asked)
        members = [found] if found else []
    rows = "".join(_member(store, chosen["id"], member) for member in members)
    note = f"{total:,} {'member' if total == 1 else 'members'}, and {archived:,} archived."
    if asked:
        note += f" Shown is {asked}." if members else f" There is no {asked}."
    elif total > _SHOWN:
        note += f" Shown are the {_SHOWN} that changed last."
    table = (
        '<div class="table" role="region" aria-label="Members" tabindex="0"><table>'
        "<thead><tr><th scope=col>Address</th><th scope=col>Status</th><th scope=col>Merge fields</th>"
        f"<th scope=col>Tags</th><th scope=col>Changed</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
    return f"""<section aria-labelledby="members"><h2 id="members">Members of {escape(chosen["name"])}</h2>
<p>{escape(note)}</p>
<form method="get" action="/"><input type="hidden" name="list" value="{escape(chosen["id"])}">
<div><label for="email">Email address</label><input id="email" name="email" type="search" value="{escape(asked)}"></div>
<button type="submit">Find member</button></form>
{table if members else "<p>No one to show.</p>"}</section>"""


def _member(store: Store, list_id: str, member: Mapping[str, Any]) -> str:
    values = "".join(
        f"<dt>{escape(tag)}</dt><dd>{escape(_text(value))}</dd>"
        for tag, value in sorted(member["merge_fields"].items())
        if value != ""
    )
    tags = "".join(f"<li>{escape(tag['name'])}</li>" for tag in store.tags(list_id, member["hash"]))
    return (
        f"<tr><th scope=row>{escape(member['email'])}</th><td>{escape(member['status'].capitalize())}</td>"
        f"<td>{f'<dl>{values}</dl>' if values else '–'}</td><td>{f'<ul>{tags}</ul>' if tags else '–'}</td>"
        f"<td>{_time(member['last_changed'])}</td></tr>"
    )


# ---------------------------------------------------------------- events


def _events(store: Store, chosen: Mapping[str, Any]) -> str:
    total = store.count_events(chosen["id"])
    rows = store.events(chosen["id"], limit=_SHOWN, newest_first=True)
    note = f"{total:,} {'event' if total == 1 else 'events'}, exactly as received."
    if total > _SHOWN:
        note += f" Shown are the last {_SHOWN}."
    shown = "".join(
        f"<article><h3>{escape(str(row['body'].get('name')))}</h3>"
        f'<p class="muted">for {escape(row["email"] or "a member who is gone")},'
        f" received {_time(row['received_at'])}</p>"
        f"<pre>{escape(json.dumps(row['body'], ensure_ascii=False, indent=2))}</pre></article>"
        for row in rows
    )
    return f"""<section aria-labelledby="events"><h2 id="events">Events</h2><p>{note}</p>{shown}</section>"""


def _time(text: str) -> str:
    return f'<time datetime="{escape(text)}">{escape(text[:10])} {escape(text[11:19])} UTC</time>'


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
