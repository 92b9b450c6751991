"""What the models may and may not know of each other."""

from __future__ import annotations

from django.apps import apps
from django.db.models import Model

# From the top down, as in pyproject.toml; what is not named here is Django's and lies below all.
LAYERS = (
    "grouparoo",
    "schedules",
    "pipeline",
    "groups",
    "events",
    "profiles",
    "apps_connectors",
    "ui",
    "accounts",
    "work",
)


def find_own_models() -> list[type[Model]]:
    return [model for model in apps.get_models() if model._meta.app_label in LAYERS]


def find_upward_keys(models: list[type[Model]]) -> list[str]:
    """Name every foreign key that points to an app further up."""
    return [
        f"{model._meta.label}.{field.name} -> {field.related_model._meta.label}"
        for model in models
        for field in model._meta.get_fields()
        if field.concrete
        and isinstance(field.related_model, type)
        and field.related_model._meta.app_label in LAYERS
        and LAYERS.index(field.related_model._meta.app_label) < LAYERS.index(model._meta.app_label)
    ]


def test_foreign_keys_point_down() -> None:
    models = find_own_models()
    assert len(models) > 20
    assert find_upward_keys(models) == []


def test_every_model_says_what_it_is() -> None:
    made_by_django = {model: f"{model.__name__}(" for model in find_own_models()}
    assert [model.__name__ for model, text in made_by_django.items() if (model.__doc__ or text).startswith(text)] == []
