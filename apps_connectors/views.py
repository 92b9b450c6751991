"""The pages of Apps: what is connected and what can be, one App, its form, a test, its first rows."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps_connectors import apps_store, pages, samples
from apps_connectors.forms import AppForm
from apps_connectors.models import App
from apps_connectors.queries import find_spec, get_app, kept_secrets
from core.accounts.models import Role
from core.accounts.permissions import role_required
from core.lib.errors import InvalidInput, Refused
from core.ui.forms import Question, actor_of, confirmed, render_form, told
from core.ui.pages import answer, wants_fragment
from core.ui.remembering import remembers
from core.ui.sorting import arrange, part_of, read_sort
from plugins import registry
from plugins.contracts import AppSpec, OptionKind

_ROWS = 10


@require_GET
@role_required(Role.VIEWER)
@remembers()
def list_apps(request: HttpRequest) -> HttpResponse:
    """Every App: whether it answers, and what uses it. Below, what else can be connected."""
    apps = pages.list_apps()
    sort = read_sort(request, pages.SORTS, usual="name")
    part = part_of(arrange(apps, sort, pages.SORTS), request)
    context = {
        "apps": part.rows,
        "sort": sort,
        "part": part,
        "silent": sum(1 for each in apps if each.look == "bad"),
        "offers": pages.catalogue(),
    }
    return answer(request, "apps/list.html", "apps/list.html", context)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def connect(request: HttpRequest, key: str) -> HttpResponse:
    """Make an App of a type. It is kept whether or not it answers; the next page says what to mend."""
    try:
        spec = registry.get(key).spec
    except registry.UnknownApp as error:
        raise Http404(str(error)) from None
    form = AppForm(spec, request.POST or None)
    if request.method == "POST" and form.is_valid():
        with form.catching(form.names):
            app = apps_store.create_app(
                spec.key,
                form.cleaned_data["name"],
                form.options(),
                parallel_calls=form.cleaned_data["parallel_calls"],
                actor=actor_of(request),
            )
            return _test_and_go_on(request, app, spec, is_new=True)
    return render_form(request, "apps/connect.html", {"form": form, "offer": pages.offer(spec)})


@require_GET
@role_required(Role.VIEWER)
def show_app(request: HttpRequest, app_id: int) -> HttpResponse:
    """One App: whether it answers, its options without secrets, its rows, and what uses it."""
    shown = pages.find_app(app_id)
    context = {
        "shown": shown,
        "app": shown.app,
        "options": pages.options_in_words(shown.app),
        "has_samples": pages.has_samples(shown.app),
    }
    return render(request, "apps/detail.html", context)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def edit_app(request: HttpRequest, app_id: int) -> HttpResponse:
    """Change an App's name and options, and see at once whether it answers."""
    app = get_app(app_id)
    spec = find_spec(app)
    if spec is None:
        messages.error(
            request,
            gettext("The plugin of %(app)s, %(type)s, is not installed. Install it to change the App.")
            % {"app": app, "type": app.type},
        )
        return HttpResponseRedirect(reverse("apps:show", args=[app_id]))
    form = AppForm(spec, request.POST or None, app=app, kept=kept_secrets(app), loaded=pages.load_choices(app, spec))
    if request.method == "POST" and form.is_valid():
        with form.catching(form.names):
            app = apps_store.update_app(
                app.pk,
                name=form.cleaned_data["name"],
                options=form.options(),
                parallel_calls=form.cleaned_data["parallel_calls"],
                actor=actor_of(request),
            )
            return _test_and_go_on(request, app, spec, is_new=False)
    context = {"form": form, "app": app, "shown": pages.find_app(app.pk), "offer": pages.offer(spec)}
    return render_form(request, "apps/edit.html", context)


def _test_and_go_on(request: HttpRequest, app: App, spec: AppSpec, *, is_new: bool) -> HttpResponse:
    """After saving: on to the App's page, or back to its form when the tool does not answer or has choices to give."""
    result = apps_store.test_app(app.pk)
    edit = reverse("apps:edit", args=[app.pk])
    if not result.ok:
        return HttpResponseRedirect(edit)
    has_choices = any(option.kind is OptionKind.LOADED_CHOICE for option in spec.options)
    if is_new and has_choices:
        return told(
            request,
            gettext("%(app)s is connected. Now choose from what it has. %(message)s")
            % {"app": app, "message": result.message},
            to=edit,
        )
    text = (
        gettext("%(app)s is connected. %(answer)s") if is_new else gettext("%(app)s is saved and answers. %(answer)s")
    )
    return told(request, text % {"app": app, "answer": result.message}, to=reverse("apps:show", args=[app.pk]))


@require_POST
@role_required(Role.EDITOR)
def test_app(request: HttpRequest, app_id: int) -> HttpResponse:
    """Try the connection now: the App's health as a piece for htmx, else back to the page one came from."""
    result = apps_store.test_app(app_id)
    if wants_fragment(request):
        return render(request, "apps/_health.html", {"shown": pages.find_app(app_id), "is_fresh": True})
    app = get_app(app_id)
    if result.ok:
        messages.success(request, gettext("%(app)s answers. %(message)s") % {"app": app, "message": result.message})
    else:
        messages.error(
            request, gettext("%(app)s does not answer. %(message)s") % {"app": app, "message": result.message}
        )
    return _go_back(request, reverse("apps:show", args=[app_id]))


@require_POST
@role_required(Role.EDITOR)
def pause_app(request: HttpRequest, app_id: int, paused: bool) -> HttpResponse:
    """Stop everything that reads from the App or sends to it, or let it go on."""
    app = apps_store.set_paused(app_id, paused, actor=actor_of(request))
    if paused:
        text = gettext("%(app)s is paused: nothing is read from it or sent to it.")
    else:
        text = gettext("%(app)s goes on.")
    return told(request, text % {"app": app}, to=reverse("apps:show", args=[app_id]))


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def delete_app(request: HttpRequest, app_id: int) -> HttpResponse:
    """Ask, then delete an App that nothing uses."""
    shown = pages.find_app(app_id)
    used = gettext("It is used by %(used_by)s: change or delete these first.") % {"used_by": shown.used_by}
    question = Question(
        gettext("Delete the App %(app)s?") % {"app": shown.app},
        [
            gettext("Nothing uses it."),
            gettext("Its options and secrets are forgotten. What came from it stays with the people it belongs to."),
        ],
        verb=gettext("Delete App"),
        back=reverse("apps:show", args=[app_id]),
        against=[used] if shown.used_by else [],
    )

    def delete() -> HttpResponse:
        apps_store.delete_app(app_id, actor=actor_of(request))
        return told(request, gettext("The App %(app)s was deleted.") % {"app": shown.app}, to=reverse("apps:list"))

    return confirmed(request, question, delete)


@require_GET
@role_required(Role.EDITOR)
def show_sample(request: HttpRequest, app_id: int) -> HttpResponse:
    """The tables of an App and the first rows of one of them, asked from the tool now."""
    app = get_app(app_id)
    context: dict[str, object] = {"app": app}
    try:
        tables = samples.list_tables(app_id)
        wanted = request.GET.get("table") or (tables[0].name if tables else "")
        context |= {"tables": tables, "table": next((each for each in tables if each.name == wanted), None)}
        if wanted:
            context["sample"] = samples.sample_table(app_id, wanted, limit=_ROWS)
    except (InvalidInput, Refused) as error:
        context["problem"] = error.message
    return answer(request, "apps/sample.html", "apps/_sample.html", context)


def _go_back(request: HttpRequest, otherwise: str) -> HttpResponse:
    """To the page that the form named, if it is one of ours."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith("/")
    return HttpResponseRedirect(wanted if is_ours else otherwise)
