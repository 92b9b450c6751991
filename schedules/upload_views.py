"""Bringing a CSV by page: the file, a look at its first rows, what its columns are, and then its run."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from apps_connectors.models import App
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput, NotFound
from core.ui.forms import ProductForm, actor_of, dress, render_form, told
from profiles import queries
from profiles.models import ProfilePropertyRule
from schedules import rejects, uploads
from schedules.editing.rhythms import set_choices
from schedules.headers import settable_keys
from schedules.models import Run
from schedules.uploads import KeptFile, Look

SHOWN_ROWS = 8


class FileForm(ProductForm):
    """Which file, for which App."""

    app = forms.ChoiceField(
        label=gettext_lazy("App that takes it"), help_text=gettext_lazy("Its rules say which columns may set what.")
    )
    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("A CSV with a header line; comma, semicolon or tab; also gzipped."),
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,.gz,text/csv"}),
        error_messages={
            "empty": gettext_lazy("This file is empty: choose another."),
            "required": gettext_lazy("Choose a file."),
        },
    )

    def __init__(self, *args: Any, apps: list[App], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "app", [(app.name, app.name) for app in apps])


class ColumnsForm(ProductForm):
    """Which property each column of a file sets."""

    def __init__(self, *args: Any, look: Look, rules: list[ProfilePropertyRule], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.look = look
        choices = [
            ("", gettext("Not saved")),
            (uploads.NEW, gettext("A new property of this name")),
            *((rule.key, _describe(rule)) for rule in rules),
        ]
        for index, column in enumerate(look.columns):
            initial = look.guessed.get(column, "")
            field = forms.ChoiceField(
                label=gettext("Column %(column)s") % {"column": column},
                choices=choices,
                required=False,
                initial=initial,
            )
            dress(field)
            self.fields[f"column-{index}"] = field

    @property
    def rows(self) -> list[tuple[str, str, Any]]:
        """Each column with its first values and its field."""
        shown = []
        for index, column in enumerate(self.look.columns):
            values = [str(row[index])[:40] for row in self.look.rows[:3] if row[index] not in (None, "")]
            shown.append((column, ", ".join(values), self[f"column-{index}"]))
        return shown

    def read_mapping(self) -> dict[str, str]:
        """The property key for each column that sets one."""
        pairs = [(column, self.cleaned_data[f"column-{index}"]) for index, column in enumerate(self.look.columns)]
        return {column: key for column, key in pairs if key}


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def upload(request: HttpRequest) -> HttpResponse:
    """Choose a file; it is stored and looked at, and nothing is imported yet."""
    apps = uploads.apps_that_take_files()
    asked = next((app.name for app in apps if str(app.pk) == request.GET.get("app")), None)
    form = FileForm(request.POST or None, request.FILES or None, apps=apps, initial={"app": asked})
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        with form.catching():
            kept = uploads.keep_file(form.cleaned_data["app"], file, name=file.name or "upload.csv")
            return redirect("schedules:upload_file", kept.token)
    return render_form(request, "uploads/new.html", {"form": form, "apps": apps})


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def upload_file(request: HttpRequest, token: str) -> HttpResponse:
    """The first rows of a file, and the property for each column; then its import starts."""
    try:
        kept = uploads.find_kept(token)
        look = uploads.look_at(kept, rows=SHOWN_ROWS)
    except (NotFound, InvalidInput) as error:
        return told_gone(request, error.message)
    form = ColumnsForm(request.POST or None, look=look, rules=_rules(kept))
    if request.method == "POST" and form.is_valid():
        with form.catching():
            run = uploads.start_kept(token, form.read_mapping(), actor=actor_of(request))
            return told(
                request,
                gettext("The import of %(kept)s starts.") % {"kept": kept.name},
                to=reverse("runs:show", args=[run.pk]),
            )
    context = {"form": form, "kept": kept, "look": look, "unmapped": len(look.columns) - len(look.guessed)}
    return render_form(request, "uploads/columns.html", context)


@require_GET
@role_required(Role.VIEWER)
def download_rejects(request: HttpRequest, run_id: int) -> HttpResponseBase:
    """The rows of an upload that did not go through, with the reasons: to be mended and brought again."""
    run = get_object_or_404(Run.objects.select_related("schedule"), pk=run_id)
    if not rejects.can_be_read(run):
        raise Http404(gettext("The file of this run is not kept any more."))
    response = StreamingHttpResponse(rejects.stream_csv(run), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="rejected-run-{run.pk}.csv"'
    return response


def told_gone(request: HttpRequest, message: str) -> HttpResponse:
    """Back to the start with the reason."""
    form = FileForm(None, apps=uploads.apps_that_take_files())
    context = {"form": form, "apps": uploads.apps_that_take_files(), "problem": message}
    return render_form(request, "uploads/new.html", context)


def _rules(kept: KeptFile) -> list[ProfilePropertyRule]:
    keys = settable_keys(kept.app.pk)
    return [rule for rule in queries.rules_in_use() if rule.key in keys]


def _describe(rule: ProfilePropertyRule) -> str:
    text = gettext("%(rule)s (%(type)s, identifies)") if rule.is_unique else "%(rule)s (%(type)s)"
    return text % {"rule": rule, "type": rule.get_type_display().lower()}
