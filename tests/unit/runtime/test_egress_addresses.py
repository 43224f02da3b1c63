"""The guard refuses every address that is not plainly public, and opens exactly what the operator lists."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import ConfigurationError
from botstead.runtime.egress.addresses import AddressGuard

HOSTILE = """
0.0.0.0 0.0.0.1 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.1.2.3 127.255.255.254
168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:db8::1 2002:7f00:1:: 3fff::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0
fec0::1 ff02::1 4000::1 5f00::1 fe80::1%1
"""
PUBLIC = """
1.1.1.1 8.8.8.8 149.154.167.220 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 172.15.255.255
172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 168.63.129.15 2001:200::1 2606:4700::1111
2a00:1450:4001::1 ::ffff:8.8.8.8 3ffe:ffff::1
"""


@pytest.mark.parametrize("address", HOSTILE.split())
def test_a_hostile_address_is_refused(address: str) -> None:
    assert not AddressGuard().permits(address, host="example.org", port=443)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address_is_let_through(address: str) -> None:
    assert AddressGuard().permits(address, host="example.org", port=443)


@given(st.ip_addresses())
def test_what_is_let_through_is_global_to_the_standard_library_too(address) -> None:
    if AddressGuard().permits(str(address), host="h", port=443):
        assert address.is_global
        assert not address.is_multicast


@given(st.text(max_size=30))
def test_what_is_no_address_is_refused(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        assert not AddressGuard(["0.0.0.0/0", "::/0"]).permits(text, host="h", port=443)


def test_an_address_opens_on_every_port_and_its_wrapped_form_too() -> None:
    guard = AddressGuard(["127.0.0.1"])
    assert guard.permits("127.0.0.1", host="anything", port=1)
    assert guard.permits("::ffff:127.0.0.1", host="anything", port=2)
    assert not guard.permits("127.0.0.2", host="anything", port=1)


def test_a_host_and_port_opens_only_there() -> None:
    guard = AddressGuard(["127.0.0.1:9300", "Printer.local:80", "[::1]:9301"])
    assert guard.permits("127.0.0.1", host="127.0.0.1", port=9300)
    assert not guard.permits("127.0.0.1", host="127.0.0.1", port=9301)
    assert guard.permits("192.168.1.9", host="printer.local", port=80)
    assert not guard.permits("192.168.1.9", host="printer.local", port=443)
    assert not guard.permits("192.168.1.9", host="other.local", port=80)
    assert guard.permits("::1", host="::1", port=9301)


def test_a_range_opens_private_addresses_but_never_loopback_or_metadata() -> None:
    guard = AddressGuard(["10.0.0.0/8", "0.0.0.0/0", "::/0"])
    assert guard.permits("10.1.2.3", host="h", port=1)
    assert guard.permits("192.168.1.1", host="h", port=1)
    for address in ("127.0.0.1", "169.254.169.254", "168.63.129.16", "192.0.0.192", "::1", "fe80::1", "::ffff:127.0.0.1"):
        assert not guard.permits(address, host="h", port=1), address


@pytest.mark.parametrize("entry", ["", "nonsense", "10.0.0.0/33", "host:port", "http://10.0.0.1", "127.0.0.0/8", "fe80::/64"])
def test_an_entry_that_opens_nothing_is_an_error_that_names_it(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="BOTSTEAD_EGRESS_ALLOW"):
        AddressGuard([entry])
