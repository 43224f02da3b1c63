"""A Docker engine in a network namespace of its own, which a test may kill together with everything that runs on it."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.appliance.engine import docker

PATIENCE = 60.0
NAME = "bsplug"
OUTSIDE, INSIDE = "10.79.0.1", "10.79.0.2"


class OwnEngine:
    """Between `start` and `remove`. Needs root, and dockerd on the PATH."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.host = f"unix://{self.folder}/docker.sock"

    def lay_network(self):
        """Make the namespace, and a cable to it."""
        for command in (
            f"netns add {NAME}",
            f"link add {NAME}0 type veth peer name cable netns {NAME}",
            f"addr add {OUTSIDE}/30 dev {NAME}0",
            f"link set {NAME}0 up",
            f"-n {NAME} link set lo up",
            f"-n {NAME} addr add {INSIDE}/30 dev cable",
            f"-n {NAME} link set cable up",
            f"-n {NAME} route add default via {OUTSIDE}",
        ):
            subprocess.run(["ip", *command.split()], check=True, timeout=10)

    def start(self):
        """Start the engine on what is there, as the system does when it boots; returns when it answers."""
        for left in (self.folder / "docker.pid", self.folder / "exec" / "containerd" / "containerd.pid"):
            left.unlink(missing_ok=True)
        command = ["nsenter", f"--net=/run/netns/{NAME}", shutil.which("dockerd"), "--host", self.host]
        for option in ("data-root", "exec-root"):
            command += [f"--{option}", str(self.folder / option.partition("-")[0])]
        command += ["--pidfile", str(self.folder / "docker.pid"), "--userland-proxy-path", shutil.which("docker-proxy")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(["docker", "-H", self.host, "version"], capture_output=True, timeout=30, check=False).returncode:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]

    def load(self, images):
        """Take images over from the engine of these tests."""
        saving = subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE)
        try:
            subprocess.run(
                ["docker", "-H", self.host, "load", "-q"], stdin=saving.stdout, check=True, timeout=300, stdout=subprocess.DEVNULL
            )
        finally:
            saving.stdout.close()
            assert saving.wait(30) == 0

    def family(self):
        """Return the processes that belong to it: engine, containerd, shims, proxies, and all in its containers."""
        parents, mine = {}, {self.process.pid}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError, IndexError):
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    if str(self.folder) in (entry / "cmdline").read_text():
                        mine.add(int(entry.name))
        while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
            mine |= more
        return mine - {os.getpid()}

    def pull_the_plug(self):
        """Kill all of it at once, the engine first, so that it cannot note who went; returns how many went."""
        family = sorted(self.family(), key=lambda pid: pid != self.process.pid)
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        return len(family)

    def remove(self):
        """Stop it, and leave nothing behind."""
        with suppress(AttributeError):
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
            self.pull_the_plug()
        for kind in (["netns", "del", NAME], ["link", "del", f"{NAME}0"]):
            subprocess.run(["ip", *kind], check=False, capture_output=True, timeout=10)
        places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed([place for place in places if place.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "-l", place], check=False, capture_output=True, timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def docker(self, *words, **how):
        """Ask it."""
        return docker(*words, host=self.host, **how)
