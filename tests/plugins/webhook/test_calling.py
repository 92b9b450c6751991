"""Whom the webhook plugin calls: only addresses that were checked, only certificates that this machine trusts."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from plugins.contracts import Halt, OutcomeKind
from plugins.webhook import Webhook, calling
from tests.plugins.webhook.connections import connect, event
from tests.plugins.webhook.exports import person, target
from tests.receiver import SECRET, Receiver, answer, run_receiver


def let_names_mean(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Every look-up of a host's name gives these addresses; the names that were looked up."""
    asked: list[str] = []

    def look_up(name: str) -> list[str]:
        asked.append(name)
        return list(addresses)

    monkeypatch.setattr(calling, "find_addresses", look_up)
    return asked


def forbid_other_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def refuse(host: Any, *rest: Any, **more: Any) -> Any:
        ip_address(host)  # an address may pass; a name is a ValueError
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1"])
def test_a_private_address_is_not_called_unless_that_is_allowed(receiver: Receiver, host: str) -> None:
    url = f"http://{host}:{receiver.port}/hook"
    with Webhook({"url": url, "secret": SECRET, "timeout": 1}) as app:
        outcomes = app.forward([event(1), event(2)])
        result = app.test()
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.HALT] * 2
    assert "GROUPAROO_ALLOW_PRIVATE_HOSTS" in outcomes[0].reason
    assert result.message == outcomes[0].reason
    assert receiver.deliveries == []


def test_a_name_with_one_private_address_among_its_own_is_not_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_names_mean(monkeypatch, "8.8.8.8", "127.0.0.1")
    with Webhook({"url": f"http://hooks.example:{receiver.port}/", "secret": SECRET}) as app:
        assert app.forward([event(1)])[0].kind is OutcomeKind.HALT
    assert receiver.deliveries == []


def test_the_address_that_was_checked_is_the_one_that_is_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means another machine the second time it is asked gets nobody in: it is asked once."""
    asked = let_names_mean(monkeypatch, "127.0.0.1")
    forbid_other_look_ups(monkeypatch)
    with connect(f"http://hooks.example:{receiver.port}/hook") as app:
        assert app.forward([event(1)])[0].kind is OutcomeKind.ACCEPTED
    assert asked == ["hooks.example"]
    assert receiver.deliveries[0].headers["host"] == f"hooks.example:{receiver.port}"


def test_a_new_connection_checks_anew(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that turns to an inner machine after the first connection gets nobody there."""
    monkeypatch.setattr(calling, "is_public", lambda address: address == "127.0.0.1")
    let_names_mean(monkeypatch, "127.0.0.1")
    with Webhook({"url": f"http://hooks.example:{receiver.port}/hook", "secret": SECRET}) as app:
        receiver.expect(answer(200, headers={"Connection": "close"}))
        assert app.forward([event(1)])[0].kind is OutcomeKind.ACCEPTED
        let_names_mean(monkeypatch, "127.0.0.2")
        assert app.forward([event(2)])[0].kind is OutcomeKind.HALT
    assert len(receiver.deliveries) == 1


def test_profiles_too_go_to_no_machine_that_a_name_turned_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is public when the export is checked and when it begins, and private from then on."""
    monkeypatch.setattr(calling, "is_public", lambda address: address == "127.0.0.1")
    asked = let_names_mean(monkeypatch, "127.0.0.1")
    forbid_other_look_ups(monkeypatch)
    to = target(url="/people")
    with Webhook({"url": f"http://hooks.example:{receiver.port}/hook", "secret": SECRET}) as app:
        assert list(app.fields(to.options)) == []
        receiver.expect(answer(200, headers={"Connection": "close"}))
        assert app.export(to, [person(1)])[0].kind is OutcomeKind.ACCEPTED
        let_names_mean(monkeypatch, "127.0.0.2")
        with pytest.raises(Halt, match="inside a private network"):
            app.export(to, [person(2)])
    assert asked == ["hooks.example"]
    assert [each.path for each in receiver.deliveries] == ["/people"]


def test_when_one_address_does_not_answer_the_next_one_is_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_names_mean(monkeypatch, "127.255.255.254", "127.0.0.1")
    with connect(f"http://hooks.example:{receiver.port}/hook") as app:
        assert app.forward([event(1)])[0].kind is OutcomeKind.ACCEPTED


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    with connect(receiver.url) as app:
        assert app.forward([event(1)])[0].kind is OutcomeKind.ACCEPTED


def test_a_connection_that_ended_meanwhile_is_opened_again(receiver: Receiver) -> None:
    with connect(receiver.url) as app:
        assert app.forward([event(1)])[0].kind is OutcomeKind.ACCEPTED
        receiver.hang_up()
        assert app.forward([event(2)])[0].kind is OutcomeKind.ACCEPTED
    assert len({each.connection for each in receiver.deliveries}) == 2


# ---------------------------------------------------------------- certificates


def make_certificate(folder: Path, host: str) -> Path:
    """A key and a certificate for `host` that signs itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{host}.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that speaks TLS as hooks.example; nobody trusts its certificate yet."""
    let_names_mean(monkeypatch, "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(make_certificate(tmp_path, "hooks.example"))
    calling._tls.cache_clear()
    with run_receiver(tls=tls) as receiver:
        yield receiver
    calling._tls.cache_clear()


def trust(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine trust a certificate, as an operator would."""
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


def test_a_certificate_that_is_trusted_and_names_the_host_is_taken(
    secure: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(tmp_path / "hooks.example.pem", monkeypatch)
    with connect(f"https://hooks.example:{secure.port}/hook") as app:
        outcomes = app.forward([event(1), event(2)])
        assert app.test().ok
        assert app.forward([event(3)])[0].kind is OutcomeKind.ACCEPTED
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * 2
    assert [each.signed for each in secure.deliveries if each.method == "POST"] == [True] * 3
    assert len({each.connection for each in secure.deliveries}) == 1


def test_a_certificate_for_another_host_gets_nothing(
    secure: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(tmp_path / "hooks.example.pem", monkeypatch)
    with connect(f"https://other.example:{secure.port}/hook") as app:
        outcome = app.forward([event(1)])[0]
    assert outcome.kind is OutcomeKind.RETRY
    assert "certificate of other.example cannot be trusted" in outcome.reason
    assert secure.deliveries == []


def test_a_certificate_that_nobody_vouches_for_gets_nothing(secure: Receiver) -> None:
    with connect(f"https://hooks.example:{secure.port}/hook") as app:
        outcome = app.forward([event(1)])[0]
    assert "cannot be trusted" in outcome.reason
    assert secure.deliveries == []
