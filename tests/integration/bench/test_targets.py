"""The tool's own appliance: one process answers what the load generator delivers, also amid a history that SQL made."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.bench.echo import measured
from tests.bench.fill import fill, know
from tests.bench.server import server
from tests.bench.targets import DATABASE, free_port, one

pytestmark = pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="there is no C compiler here")


def test_every_bot_of_one_process_answers_amid_a_filled_history() -> None:
    api_port = free_port()
    with server(("fsync=on", "max_connections=60")) as postgres:
        with one(api_port, postgres, bots=("first", "second")) as target:
            fill(postgres, first=0, rows=2_000, chats=50)
            know(postgres, 50)
            (row,) = measured(target, api_port, [(200, 0.0)], seed=1, chats=50, warm_up=50)
            assert (row["acknowledged"], row["replied"], row["refused"], row["broken"]) == (200, 200, 0, 0)
            assert row["cpu_ms_all"] > 0
            assert row["cpu_ms"] == row["cpu_ms_all"] + row["cpu_ms_postgres"]
            assert target.pids["all"] != os.getpid()
            told = "SELECT count(*), count(DISTINCT bot), min(id), max(id) FROM message"
            assert postgres.run(told, database=DATABASE) == "2500|2|1|2500"
            history = "SELECT count(*) FROM message JOIN delivery USING (id) WHERE id <= 2000 AND reply_to = id - 1"
            assert postgres.run(history, database=DATABASE) == "1000"
        postgres.drop(DATABASE)
