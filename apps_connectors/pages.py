"""What the page of Apps shows. Options and secrets are not among it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from apps_connectors.models import App
from apps_connectors.queries import find_spec

_ICONS = {"csv": "file-text", "demo": "zap"}


@dataclass(frozen=True, slots=True)
class ShownApp:
    """An App with its kind, its health as a word and a look, and what uses it."""

    app: App
    kind: str
    look: str
    word: str
    icon: str
    used_by: str


def list_apps() -> list[ShownApp]:
    """Every App by name, with one statement."""
    apps = App.objects.annotate(
        rule_count=Count("rules", filter=~Q(rules__state="deleted"), distinct=True),
        import_count=Count("schedules", filter=Q(schedules__direction="import"), distinct=True),
        export_count=Count("schedules", filter=Q(schedules__direction="export"), distinct=True),
    )
    return [
        _show(app, imports=app.import_count, exports=app.export_count, rules=app.rule_count)
        for app in apps.order_by("name")
    ]


def _show(app: App, *, imports: int, exports: int, rules: int) -> ShownApp:
    if app.paused_at is not None:
        look, word = "wait", "Paused"
    elif app.test_ok is None:
        look, word = "off", "Not tested yet"
    else:
        look, word = ("ok", "Healthy") if app.test_ok else ("bad", "Does not answer")
    uses = ((imports, "import schedule"), (exports, "export schedule"), (rules, "property"))
    used_by = ", ".join(f"{count} {_many(word) if count != 1 else word}" for count, word in uses if count)
    spec = find_spec(app)
    return ShownApp(
        app=app,
        kind=spec.label if spec else f"{app.type}, whose plugin is not installed",
        look=look,
        word=word,
        icon=_ICONS.get(app.type, "database"),
        used_by=used_by or "Nothing uses it yet",
    )


def _many(word: str) -> str:
    return "properties" if word == "property" else f"{word}s"
