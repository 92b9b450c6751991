"""The frame of every form: how it looks, how a problem becomes an error beside a field, how success is told.

How to use it, in an app's `forms.py`, `views.py` and template:

    class GroupForm(ProductForm):                        # a plain Django form; it never saves anything itself
        name = forms.CharField(label="Name", max_length=200, help_text="What your team calls these people.")

    @require_http_methods(["GET", "POST"])
    @role_required(Role.EDITOR)                          # a viewer gets a 403; hide the button from them, see below
    def create(request):
        form = GroupForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form.catching():                        # InvalidInput.fields go beside their fields, Refused on top
                group = groups_store.create_group(form.cleaned_data["name"], actor=actor_of(request))
                return told(request, f"The group {group} was made.", to=reverse("groups:show", args=[group.pk]))
        return render_form(request, "groups/edit.html", {"form": form})    # 422 when there are errors, 200 otherwise

    {% include "ui/_form.html" with form=form submit="Create group" cancel=url %}    the whole form, with its summary
    {% include "ui/_errors.html" %} {% include "ui/_field.html" with field=form.name %}   or piece by piece, between
    <form class="form" method="post" novalidate>{% csrf_token %} … {% include "ui/_buttons.html" with submit="…" %}

A destructive step is a page that names its consequence with numbers; the same view answers GET and POST:

    question = Question(f"Delete {group}?", ["1,204 people leave it.", "2 exports take its tag away."],
                        verb="Delete group", back=url)
    return confirmed(request, question, lambda: told(request, delete(…), to=…))     # a Refused is shown on the page

A button that only does something: `with telling(request): run_now(…)`, then redirect; a problem becomes a message.
Buttons for those who may alone: `{% if request.user|may:"editor" %}`. One primary action stands at the right of the
page's head: `<div class="head"><div><h1>…</h1></div><div class="cluster"><a class="button is-primary">…</a></div>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.forms.boundfield import BoundField
from django.forms.utils import flatatt
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_lazy

from core.accounts.actors import Actor
from core.accounts.models import User
from core.lib.errors import InvalidInput, NotFound, ProductError, Refused

WRONG, CONFLICT = 422, 409
_PLAIN_BOX = (forms.CheckboxInput, forms.RadioSelect, forms.CheckboxSelectMultiple, forms.FileInput, forms.HiddenInput)


class ProductForm(forms.Form):
    """A form in the product's look. Rules of the domain stay in the domain: its errors come back by `catching`."""

    required_css_class = ""
    use_required_attribute = False  # the server's sentences are better than the browser's

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            dress(field)
            speak_plainly(field)

    def add_field(self, name: str, field: forms.Field) -> None:
        """Add a field that only this form has, at its end."""
        self.fields[name] = field
        dress(field)
        speak_plainly(field)

    @contextmanager
    def catching(self, names: Mapping[str, str] | None = None) -> Iterator[None]:
        """Turn what the domain refuses into errors of this form.

        `names` gives the form's field for a domain's one where they differ. A field the form has not goes on top.
        """
        try:
            yield
        except (InvalidInput, Refused) as error:
            self.add_problem(error, names=names)

    def add_problem(self, problem: ProductError, *, names: Mapping[str, str] | None = None) -> None:
        """Show one problem of the domain: beside the fields it names, or on top."""
        named = {(names or {}).get(key, key): message for key, message in problem.fields.items()}
        elsewhere = [message for key, message in named.items() if key not in self.fields]
        for key, message in named.items():
            if key in self.fields:
                self.add_error(key, message)
        for message in elsewhere or ([] if named else [problem.message]):
            self.add_error(None, message)


class LongSelect(forms.Select):
    """A choice among hundreds, written at once: Django runs two templates for each option, which takes 100 ms."""

    def render(self, name: str, value: Any, attrs: Mapping[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """The control with its options, as `forms.Select` writes it."""
        chosen = set(self.format_value(value))
        selected = mark_safe(" selected")
        options = (
            ("" if key is None else key, selected if str(key) in chosen else "", word) for key, word in self.choices
        )
        return format_html(
            '<select name="{}"{}>{}</select>',
            name,
            flatatt(self.build_attrs(self.attrs, dict(attrs or {}))),
            format_html_join("", '<option value="{}"{}>{}</option>', options),
        )


def dress(field: forms.Field) -> None:
    """Give a field's control the product's look."""
    widget = field.widget
    if not isinstance(widget, _PLAIN_BOX):
        classes = [*str(widget.attrs.get("class", "")).split(), "field"]
        if isinstance(widget, forms.Textarea):
            classes.append("is-text")
        elif isinstance(widget, forms.NumberInput):
            classes.append("is-short")
        widget.attrs["class"] = " ".join(dict.fromkeys(classes))
    if isinstance(widget, forms.PasswordInput):
        widget.attrs.setdefault("autocomplete", "new-password")


def speak_plainly(field: forms.Field) -> None:
    """Django's usual sentences in the product's words, naming the field; a form's own ones stay.

    Validators belong to all instances of a form: their sentences are lazy.
    """
    usual = forms.Field.default_error_messages["required"]
    if field.error_messages.get("required") == usual and field.label:
        field.error_messages["required"] = gettext("%(field)s is needed.") % {"field": field.label}
    for validator in field.validators:
        if isinstance(validator, MinValueValidator):
            validator.message = gettext_lazy("Give %(limit_value)s or more.")
        elif isinstance(validator, MaxValueValidator):
            validator.message = gettext_lazy("Give %(limit_value)s or less.")
        elif isinstance(validator, MaxLengthValidator):
            validator.message = gettext_lazy("Give at most %(limit_value)d characters; these are %(show_value)d.")


def mark_needed(field: forms.Field) -> None:
    """Never call a field optional: where it is shown it has to be filled in, and the domain says so."""
    field.is_needed = True  # type: ignore[attr-defined]  # read by `ui/_field.html`


def kind_of(field: BoundField) -> str:
    """How `ui/_field.html` lays a field out: hidden, check, set or plain."""
    widget = field.field.widget
    if widget.is_hidden:
        return "hidden"
    if isinstance(widget, forms.CheckboxInput):
        return "check"
    return "set" if widget.use_fieldset else "plain"


def render_form(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """The page of a form: status 422 when any form in `context` has errors."""
    wrong = any(isinstance(each, forms.BaseForm) and each.is_bound and each.errors for each in context.values())
    return render(request, template, dict(context), status=WRONG if wrong else 200)


# ---------------------------------------------------------------- who acts, and what is told afterwards


def actor_of(request: HttpRequest) -> Actor:
    """The person at the other end of a page that `role_required` guards."""
    user = request.user
    if not isinstance(user, User):
        raise TypeError("This page has no role_required.")
    return Actor.person(user)


def told(request: HttpRequest, message: str | SafeString, *, to: str) -> HttpResponse:
    """Go to the page `to`, which says `message` on top. Marked-up text has to be safe already."""
    messages.success(request, message)
    return HttpResponseRedirect(to)


@contextmanager
def telling(request: HttpRequest) -> Iterator[None]:
    """For buttons without a form: what is refused becomes a message on the next page."""
    try:
        yield
    except NotFound:
        raise
    except ProductError as error:
        messages.error(request, error.message)


# ---------------------------------------------------------------- destructive steps


@dataclass(frozen=True, slots=True)
class Question:
    """What is about to happen: the consequences as sentences with their numbers, the button's words, the way back.

    `against` says what stands in the way; then there is only the way back.
    """

    title: str
    consequences: Sequence[str]
    verb: str
    back: str
    is_danger: bool = True
    against: Sequence[str] = ()


def confirmed(request: HttpRequest, question: Question, act: Callable[[], HttpResponse]) -> HttpResponse:
    """Ask first; on POST do it. What is refused then is shown on the same page, with the way back."""
    problem = ""
    if request.method == "POST":
        try:
            return act()
        except (InvalidInput, Refused) as error:
            problem = error.message
    context = {"question": question, "problem": problem}
    return render(request, "ui/confirm.html", context, status=CONFLICT if problem else 200)
