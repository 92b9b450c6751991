"""The page of an App's webhook address: where it is, what its bodies mean, the last calls while it is being set up."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import ParseError

from apps_connectors.models import App
from core.accounts.models import Role
from core.accounts.permissions import has_role, role_required
from core.rest.parsing import read_json
from core.ui.forms import ProductForm, actor_of, render_form, told
from events import hooks
from events.hook_bodies import CHECKS, OWN_PATHS, find, list_paths
from events.models import Hook, HookCall
from profiles import queries

_PREFIX = "field_"


class HookForm(ProductForm):
    """What bodies mean: a path for each property, and how they are signed."""

    type = forms.CharField(
        label=gettext_lazy("Type of event"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("A path such as event, or the type itself."),
    )
    message_id = forms.CharField(
        label=gettext_lazy("Id of the message"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("A path; the same id twice is one event."),
    )
    occurred_at = forms.CharField(
        label=gettext_lazy("When it happened"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("A path; left empty, when it arrives."),
    )
    items = forms.CharField(
        label=gettext_lazy("List of events"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("A path, where one call brings several."),
    )
    signature = forms.ChoiceField(label=gettext_lazy("Signature"), choices=list(CHECKS.items()))
    signature_header = forms.CharField(label=gettext_lazy("Header of the signature"), required=False, max_length=100)
    signing_secret = forms.CharField(
        label=gettext_lazy("Signing secret"),
        required=False,
        max_length=500,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("Left empty, it stays as it is."),
    )

    def __init__(self, *args: Any, hook: Hook, **kwargs: Any) -> None:
        mapping = hook.mapping or {}
        first = {name: mapping.get(name, "") for name in OWN_PATHS}
        fields = mapping.get("fields", {})
        super().__init__(
            *args,
            initial={
                **first,
                "signature": hook.signature,
                "signature_header": hook.signature_header,
                **{f"{_PREFIX}{key}": path for key, path in fields.items()},
            },
            **kwargs,
        )
        self.rules = queries.rules_in_use()
        for rule in self.rules:
            label = gettext("%(rule)s, which identifies") % {"rule": rule} if rule.is_unique else str(rule)
            self.add_field(f"{_PREFIX}{rule.key}", forms.CharField(label=label, required=False, max_length=200))

    @property
    def mapped(self) -> list[Any]:
        """The fields of properties."""
        return [self[f"{_PREFIX}{rule.key}"] for rule in self.rules]

    def mapping(self) -> dict[str, Any]:
        """As `hooks.update_hook` takes it."""
        given = self.cleaned_data
        fields = {rule.key: given[f"{_PREFIX}{rule.key}"] for rule in self.rules if given[f"{_PREFIX}{rule.key}"]}
        return {name: given[name] for name in OWN_PATHS} | {"fields": fields}


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def edit_hook(request: HttpRequest, app_id: int) -> HttpResponse:
    """See and change what an App's webhook means."""
    app = get_object_or_404(App, pk=app_id)
    hook = Hook.objects.filter(app=app).first()
    if hook is None:
        return render(request, "hooks/none.html", {"app": app})
    form = HookForm(request.POST or None, hook=hook)
    if request.method == "POST" and form.is_valid():
        with form.catching({f"fields.{rule.key}": f"{_PREFIX}{rule.key}" for rule in form.rules}):
            hooks.update_hook(
                app.pk,
                mapping=form.mapping(),
                signature=form.cleaned_data["signature"],
                signature_header=form.cleaned_data["signature_header"],
                signing_secret=form.cleaned_data["signing_secret"] or None,
                actor=actor_of(request),
            )
            return told(request, gettext("The webhook is saved."), to=reverse("hooks:edit", args=[app.pk]))
    address = reverse("hooks:door", args=[app.pk, hooks.read_secrets(hook)["address"]])
    context = {"app": app, "hook": hook, "form": form, "address": request.build_absolute_uri(address)}
    return render_form(request, "hooks/edit.html", {**context, **_heard(hook)})


@require_GET
@role_required(Role.EDITOR)
def show_calls(request: HttpRequest, app_id: int) -> HttpResponse:
    """The last calls; asked again every two seconds while it listens."""
    hook = get_object_or_404(Hook.objects.select_related("app"), app_id=app_id)
    return render(request, "hooks/_calls.html", {"app": hook.app, "hook": hook, **_heard(hook)})


@require_POST
@role_required(Role.EDITOR)
def create_hook(request: HttpRequest, app_id: int) -> HttpResponse:
    """Give the App an address, and listen."""
    hooks.create_hook(app_id, actor=actor_of(request))
    hooks.listen(app_id)
    return redirect("hooks:edit", app_id)


@require_POST
@role_required(Role.EDITOR)
def listen(request: HttpRequest, app_id: int) -> HttpResponse:
    """Keep the calls of the next ten minutes."""
    hooks.listen(app_id)
    return redirect("hooks:edit", app_id)


@require_POST
@role_required(Role.EDITOR)
def renew_address(request: HttpRequest, app_id: int) -> HttpResponse:
    """Another address; the old one is closed."""
    hooks.renew_address(app_id, actor=actor_of(request))
    messages.success(request, gettext("This is the new address. The old one is closed: change it in the tool."))
    return redirect("hooks:edit", app_id)


@require_POST
@role_required(Role.EDITOR)
def delete_hook(request: HttpRequest, app_id: int) -> HttpResponse:
    """Close the address."""
    hooks.delete_hook(app_id, actor=actor_of(request))
    return told(
        request, gettext("The address is closed. Events that came stay."), to=reverse("apps:show", args=[app_id])
    )


@require_GET
@role_required(Role.VIEWER)
def of_app(request: HttpRequest, app_id: int) -> HttpResponse:
    """What the App's page says of its webhook."""
    app = get_object_or_404(App, pk=app_id)
    context = {
        "app": app,
        "hook": Hook.objects.filter(app=app).first(),
        "may_edit": has_role(request.user, Role.EDITOR),
    }
    template = "hooks/_of_app.html" if request.headers.get("HX-Request") else "hooks/of_app.html"
    return render(request, template, context)


def _heard(hook: Hook) -> dict[str, Any]:
    calls = hooks.calls_of(hook)
    listens = hook.listening_until is not None and hook.listening_until > timezone.now()
    shown = [(call, _paths(call, hook)) for call in calls]
    return {"calls": shown, "listens": listens}


def _paths(call: HookCall, hook: Hook) -> list[tuple[str, str, str]]:
    """Each path of a call with its value and the property it feeds."""
    try:
        body = read_json(call.body.encode())
    except ParseError:
        return []
    mapping = hook.mapping or {}
    items = find(body, mapping["items"]) if mapping.get("items") else body
    item = items[0] if isinstance(items, list) and items else items
    fed = {path: key for key, path in mapping.get("fields", {}).items()}
    return [(path, value, fed.get(path, "")) for path, value in list_paths(item)]
