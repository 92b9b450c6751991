"""Addresses for signing in and out."""

from __future__ import annotations

from django.urls import path

from core.ui.first_admin import make_first_admin
from core.ui.signin import SignIn, SignOut

app_name = "accounts"
urlpatterns = [
    path("sign-in/", SignIn.as_view(), name="login"),
    path("welcome/", make_first_admin, name="first"),
    path("sign-out/", SignOut.as_view(), name="logout"),
]
