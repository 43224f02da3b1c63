"""A network of its own for some processes, with one cable to ours that can be cut: nothing arrives any more, nothing is refused.

Linux, as root: a network namespace and a pair of virtual interfaces, ip-netns(8), veth(4). Rules are added inside that namespace
only, so the machine's own firewall is not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "bsprove"
SECONDS = 10.0
SETUP = (
    "ip netns add {name}",
    "ip link add {name}h type veth peer name {name}n",
    "ip link set {name}n netns {name}",
    "ip addr add {here}/30 dev {name}h",
    "ip link set {name}h up",
    "ip -n {name} addr add {there}/30 dev {name}n",
    "ip -n {name} link set {name}n up",
    "ip -n {name} link set lo up",
)
CHAINS = ("INPUT -i", "OUTPUT -o")


class Network:
    """One that exists. Use `network()`."""

    def __init__(self, name: str, number: int) -> None:
        """Name it.

        Args:
            name: of the namespace.
            number: 0 to 16383, which chooses its addresses.
        """
        self.name = name
        high, low = divmod(number * 4, 256)
        self.here = f"10.213.{high}.{low + 1}"
        """Our end of the cable."""
        self.there = f"10.213.{high}.{low + 2}"
        """The other end."""

    @property
    def wrap(self) -> tuple[str, ...]:
        """Command words that put a program into it."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Drop every packet, both ways.

        Raises:
            OSError: the machine refuses.
        """
        for chain in CHAINS:
            self._rule("-A", chain)

    def heal(self) -> None:
        """Let packets through again.

        Raises:
            OSError: the machine refuses.
        """
        for chain in CHAINS:
            self._rule("-D", chain)

    def _rule(self, what: str, chain: str) -> None:
        run(f"ip netns exec {self.name} iptables -w {what} {chain} {self.name}n -j DROP")


def missing() -> str:
    """Say what this machine lacks, "" for nothing."""
    if sys.platform != "linux":
        return "network namespaces are of Linux"
    if os.geteuid() != 0:
        return "needs root: run it with sudo"
    absent = [program for program in ("ip", "iptables") if shutil.which(program) is None]
    if absent:
        return f"needs {' and '.join(absent)}: apt-get install iproute2 iptables"
    return ""


@contextmanager
def network() -> Iterator[Network]:
    """Have a network; it is gone afterwards.

    Raises:
        OSError: the machine refuses; the text says what.
    """
    number = os.getpid() % 16_384
    made = Network(f"{PREFIX}{number}", number)
    _sweep(made.name)
    try:
        for line in SETUP:
            run(line.format(name=made.name, here=made.here, there=made.there))
        yield made
    finally:
        _sweep(made.name)


def run(line: str) -> None:
    """Run a command of the system.

    Args:
        line: words, separated by spaces.

    Raises:
        OSError: it fails; the text has its complaint.
    """
    words = line.split()
    words[0] = shutil.which(words[0]) or words[0]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS)
    if done.returncode:
        raise OSError(f"{line}: {done.stderr.strip()[:300]}")


def _sweep(name: str) -> None:
    """Remove it with its cable, whatever there is of it."""
    if Path(f"/sys/class/net/{name}h").exists():
        run(f"ip link del {name}h")
    if Path(f"/run/netns/{name}").exists():
        run(f"ip netns del {name}")
