"""The guard refuses every address that is not plainly public, and opens exactly what the operator lists."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import ConfigurationError
from botstead.processes.prove.lures import INTERNAL, PUBLIC
from botstead.runtime.egress.addresses import AddressGuard


@pytest.mark.parametrize("address", INTERNAL)
def test_an_internal_address_is_refused(address: str) -> None:
    assert not AddressGuard().permits(address, host="example.org", port=443)


@pytest.mark.parametrize("address", PUBLIC)
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
