"""Which hosts are private: nobody may look around in the network that the product runs in."""

from __future__ import annotations

import pytest

from core.lib.hosts import find_addresses, is_private, is_public


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.9",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
        ),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1"),
        *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1"),
        *("::7f00:1", "::ffff:0:7f00:1", "64:ff9b:1::7f00:1", "fec0::1", "2001:0:7f00:1::1", "2001:db8::1"),
    ],
)
def test_an_address_of_an_inner_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_an_address_that_everyone_can_reach_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "http://localhost/x", "https://user@127.0.0.1:8443/x?y", "http://[::1]:80/", "[::1]"),
        *("http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://0/"),
        *("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "/var/run/mysqld.sock", "@abstract"),
    ],
)
def test_every_way_to_write_this_machine_is_private(host: str) -> None:
    assert is_private(host)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "http://no-such-host.invalid/", "http://[", "a" * 300])
def test_a_host_without_an_address_is_left_to_the_one_who_connects(host: str) -> None:
    assert not is_private(host)


def test_a_name_is_looked_up_once_for_all_its_addresses() -> None:
    found = find_addresses("localhost")
    assert found
    assert len(found) == len(set(found))
    assert not any(is_public(address) for address in found)


def test_a_name_that_nobody_has_is_an_error() -> None:
    with pytest.raises(OSError, match=r"."):
        find_addresses("no-such-host.invalid")
    with pytest.raises(OSError, match="not a host's name"):
        find_addresses("a" * 300)
