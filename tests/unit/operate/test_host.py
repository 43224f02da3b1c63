"""What Linux says of the machine is read right, and whatever is missing only leaves its part out."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from botstead.operate import host

PRESSURE = "some avg10=0.00 avg60=3.61 avg300=10.16 total=2481311084\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_the_time_in_which_some_waited(some, full):
    text = f"some avg10=0.00 avg60=0.00 avg300=0.00 total={some}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total={full}\n"
    assert host.waited(text) == some / 1e6


@given(st.lists(st.integers(0, 10**12), min_size=8, max_size=10))
def test_all_processor_time_has_a_mode(columns):
    found = host.processor("cpu  " + " ".join(map(str, columns)) + "\ncpu0 1 2 3 4 5 6 7 8\n", ticks=100)
    assert set(found) == {"user", "system", "idle", "iowait", "steal"}
    assert abs(sum(found.values()) - sum(columns[:8]) / 100) < 1e-3 * max(1, sum(columns[:8]) / 100)


@given(st.text(max_size=300))
def test_other_texts_say_nothing_and_raise_nothing(text):
    host.waited(text)
    host.processor(text, ticks=100)
    host.meminfo(text)
    host.counted(text, "oom_kill")


def test_sizes_are_bytes():
    found = host.meminfo("MemTotal:       16384 kB\nMemAvailable:    1024 kB\nHugePages_Total:       0\n")
    assert found == {"MemTotal": 16384 * 1024, "MemAvailable": 1024 * 1024}


def test_a_count_by_its_whole_name():
    assert host.counted("oom_kill_x 3\noom_kill 4\n", "oom_kill") == 4
    assert host.counted("oom_kill_x 3\n", "oom_kill") is None


def test_a_machine_that_tells_little(tmp_path):
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure" / "io").write_text(PRESSURE)
    found = host.look(tmp_path / "no-such-folder", proc=tmp_path)
    assert found.pressure == {"io": 2481.311084}
    assert (found.cpu, found.memory_total, found.oom_kills, found.disk_free) == ({}, None, None, None)


def test_this_machine(tmp_path):
    found = host.look(tmp_path)
    assert 0 < found.disk_free < found.disk_size
    assert 0 < found.memory_available < found.memory_total
    assert found.cpu["idle"] > 0
    if Path("/proc/pressure/cpu").exists():
        assert set(found.pressure) == {"cpu", "memory", "io"}
