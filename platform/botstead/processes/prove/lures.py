"""Addresses, spellings and answers of name servers that lead a careless client where its operator did not want it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import msgspec

_INTERNAL = """
0.0.0.0 0.0.0.1 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.1.2.3 127.255.255.254
168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:db8::1 2002:7f00:1:: 3fff::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0
fec0::1 ff02::1 4000::1 5f00::1 fe80::1%1
"""
INTERNAL = tuple(_INTERNAL.split())
"""Addresses that are not plainly public, the metadata services of clouds among them."""
_PUBLIC = """
1.1.1.1 8.8.8.8 149.154.167.220 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 172.15.255.255
172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 168.63.129.15 2001:200::1 2606:4700::1111
2a00:1450:4001::1 ::ffff:8.8.8.8 3ffe:ffff::1
"""
PUBLIC = tuple(_PUBLIC.split())
"""Addresses that are, many of them neighbours of the others."""
_SPELLINGS = r"""
127.0.0.1 2130706433 0x7f000001 0x7f.0.0.1 017700000001 0177.0.0.1 127.1 127.0.1 0 0.0.0.0 localhost localhost. LOCALHOST
127.0.0.1. [::1] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:0:0:1] [::] [::1%25lo] １２７.０.０.１ 127。0。0。1
user@127.0.0.1 user:pass@127.0.0.1 127.0.0.1%00 127.0.0.1\@example.org ip6-localhost %31%32%37.0.0.1
"""
SPELLINGS = tuple(_SPELLINGS.split())
"""Ways to write a host of a URL that some program reads as this machine."""
MOVED = (301, 302, 303, 307, 308)
"""Statuses that redirect (RFC 9110 section 15.4)."""
LISTED = "127.0.0.1"
"""The address that is listed, at one port only."""


class Lure(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that try to get somewhere.

    Args:
        what: it is, in words.
        url: that is called.
        answers: of the name server, one after the other and the last one for ever; none to ask the system's.
        calls: how often it is called, with the same client.
        arrive: how many of these calls, the first ones, may arrive: they go to the listed address, or a public one.
    """

    what: str
    url: str
    answers: tuple[tuple[str, ...], ...] = ()
    calls: int = 1
    arrive: int = 0


def lures(trap: int, door: int) -> Iterator[Lure]:
    """Give all of them.

    Args:
        trap: port at which whoever is lured arrives.
        door: port of the listed address; what listens there redirects as its path says.
    """
    for address in INTERNAL:
        yield Lure(what=f"address {address}", url=f"http://{written(address)}:{trap}/")
        yield Lure(what=f"name of {address}", url=f"http://innocent.example:{trap}/", answers=((address,),))
    yield from moves(door)
    for host in SPELLINGS:
        yield Lure(what=f"spelling {host}", url=f"http://{host}:{trap}/")
    for answers in (
        ("8.8.8.8", "127.0.0.1"),
        ("127.0.0.1", "8.8.8.8"),
        ("2606:4700::1111", "::1"),
        ("8.8.8.8", "::ffff:10.0.0.1"),
    ):
        yield Lure(what=f"name of {' and '.join(answers)}", url=f"http://mixed.example:{trap}/", answers=(answers,))
    yield from redirects(trap, door)


def moves(door: int) -> Iterator[Lure]:
    """Give names that lead to the listed address at first, and elsewhere as soon as they are trusted.

    Args:
        door: port of the listed address.
    """
    for address in INTERNAL:
        if address.removeprefix("::ffff:") != LISTED:
            answers = ((LISTED,), (address,))
            yield Lure(
                what=f"name that moves to {address}", url=f"http://rebind.example:{door}/", answers=answers, calls=2, arrive=1
            )


def redirects(trap: int, door: int) -> Iterator[Lure]:
    """Give those that the listed address itself sends elsewhere.

    Args:
        trap: port at which whoever is lured arrives.
        door: port of the listed address.
    """
    for number, status in enumerate((*MOVED, *MOVED)):
        address = ("127.0.0.1", "169.254.169.254", "10.0.0.1", "::1")[number % 4]
        yield Lure(what=f"{status} to {address}", url=sent_on(status, f"http://{written(address)}:{trap}/", door), arrive=1)


def sent_on(status: int, to: str, door: int) -> str:
    """Return the URL of the door that redirects.

    Args:
        status: of the answer.
        to: where to.
        door: its port.
    """
    return f"http://{LISTED}:{door}/{status}/{quote(to, safe='')}"


def written(address: str) -> str:
    """Return an address as a URL has it.

    Args:
        address: in its usual form.
    """
    return f"[{address}]" if ":" in address else address
