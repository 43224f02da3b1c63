"""Which addresses the appliance may connect to.

The table is our own, because `ipaddress.is_global` calls multicast, NAT64 and a cloud's metadata addresses global. For IPv6
it lists what is allowed, since most of that space is not assigned. Source: IANA's special-purpose address registries,
https://www.iana.org/assignments/iana-ipv4-special-registry and https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from botstead.core.errors import ConfigurationError, EgressRefused

Address: TypeAlias = IPv4Address | IPv6Address

_V4_DENIED: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, and a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's control plane
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and a cloud's metadata at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_V6_ALLOWED: Final = IPv6Network("2000::/3")
_V6_DENIED: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which wraps any IPv4 address
        "3fff::/20",  # documentation
    )
)
_ONLY_ONE_BY_ONE: Final = tuple(
    ip_network(text) for text in ("127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "192.0.0.0/24", "::1/128", "fe80::/10")
)
"""Loopback, link-local and metadata: a range never opens these, because whoever wrote `0.0.0.0/0` did not think of them."""
_NAME_AND_PORT = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")


class AddressGuard:
    """Decides about addresses, never about names: `2130706433`, `0x7f.1` and `localtest.me` all are 127.0.0.1 in the end."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        """Build a guard.

        Args:
            allow: what is let through besides public addresses: `host:port`, an address, or a range (`10.0.0.0/8`).

        Raises:
            ConfigurationError: an entry is none of these, or a range lies where only single addresses can be opened.
        """
        self._names: set[tuple[str, int]] = set()
        self._addresses: set[Address] = set()
        self._ranges: list[IPv4Network | IPv6Network] = []
        for entry in allow:
            self._add(entry.strip())

    def permits(self, address: str, *, host: str, port: int) -> bool:
        """Tell whether a connection to an address may be made.

        Args:
            address: what the name was resolved to.
            host: the host as the URL has it, in lower case.
            port: the port to connect to.
        """
        try:
            target = plain_address(address)
        except ValueError:
            return False
        if (host, port) in self._names or (str(target), port) in self._names or target in self._addresses:
            return True
        if _is_public(target):
            return True
        return not _is_delicate(target) and any(target in network for network in self._ranges)

    def require(self, addresses: Iterable[str], *, host: str, port: int) -> None:
        """Refuse a name unless all its addresses are permitted: one bad one among good ones is an attack, not an accident.

        Args:
            addresses: what the name was resolved to.
            host: the host, in lower case.
            port: the port to connect to.

        Raises:
            EgressRefused: one is not; the message says how it would be allowed, and not where it leads.
        """
        if not all(self.permits(address, host=host, port=port) for address in addresses):
            raise EgressRefused(
                f"{host} leads to an address that is not allowed. To reach it, list {host}:{port} in BOTSTEAD_EGRESS_ALLOW."
            )

    def _add(self, entry: str) -> None:
        if found := _NAME_AND_PORT.fullmatch(entry):
            name = found["name"].strip("[]").lower()
            self._names.add((str(ip_address(name)) if ":" in name else name, int(found["port"])))
            return
        try:
            network = ip_network(entry, strict=False)
        except ValueError as error:
            message = f"BOTSTEAD_EGRESS_ALLOW: «{entry}» is not host:port, an address or a range such as 10.0.0.0/8."
            raise ConfigurationError(message) from error
        if network.num_addresses == 1:
            self._addresses.add(network.network_address)
        elif any(network.version == one.version and _inside(network, one) for one in _ONLY_ONE_BY_ONE):
            raise ConfigurationError(
                f"BOTSTEAD_EGRESS_ALLOW: «{entry}» is loopback, link-local or metadata; list single addresses or host:port there."
            )
        else:
            self._ranges.append(network)


def plain_address(text: str) -> Address:
    """Read an address; one that wraps IPv4 for IPv6 sockets is unwrapped.

    Args:
        text: an address in its usual form, without brackets.

    Raises:
        ValueError: it is none, or has a zone.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise ValueError(text)
        return address.ipv4_mapped or address
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _V4_DENIED)
    return address in _V6_ALLOWED and not any(address in network for network in _V6_DENIED)


def _is_delicate(address: Address) -> bool:
    return any(address in network for network in _ONLY_ONE_BY_ONE)


def _inside(network: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return isinstance(other, IPv6Network) and network.subnet_of(other)
