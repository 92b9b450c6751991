"""The email with a link for a new password leaves by a real worker, woken from the page, and survives its death."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from core.work.models import Work
from tests.accounts.factories import make_bob
from tests.mailserver import run_mail_server, use
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "another long walk by the sea"


def test_a_worker_sends_the_link_also_after_one_was_killed(
    start_worker: Callable[..., int], product_env: dict[str, str], client: Client, settings: Any
) -> None:
    bob = make_bob()
    with run_mail_server() as server:
        use(settings, server)
        product_env |= {"EMAIL_URL": f"smtp://{server.host}:{server.port}", "EMAIL_FROM": "grouparoo@example.com"}
        os.kill(start_worker(queues=settings.OUTER_QUEUES), signal.SIGKILL)
        client.post("/new-password/", {"email": bob.email})
        start_worker(queues=settings.OUTER_QUEUES)
        wait_until(lambda: bool(server.letters), what="the letter has arrived", within=20)
        wait_until(lambda: not Work.objects.exists(), what="nothing is left to do")
    [letter] = server.letters
    [link] = re.findall(r"http://testserver/\S+", letter.get_content())
    assert client.post(urlsplit(link).path, {"password": NEW}).status_code == 302
    bob.refresh_from_db()
    assert bob.check_password(NEW)
