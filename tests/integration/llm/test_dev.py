"""`botstead dev` with a language model: no day is kept there, and the author's own settings say who is asked."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.doubles.llm import KEY, WORDS, llm

POET = Path(__file__).parent / "poet"


def test_the_author_talks_with_the_model(tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")

    async def story():
        async with llm() as double, asyncio.timeout(30):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "botstead.processes.cli.dev_child", str(POET)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={
                    "PATH": os.defpath,
                    "BOTSTEAD_LLM_BASE": double.base,
                    "BOTSTEAD_LLM_KEY_FILE": str(tmp_path / "key"),
                    "BOTSTEAD_EGRESS_ALLOW": "127.0.0.1",
                },
                cwd=tmp_path,
            )
            try:
                process.stdin.write(b"{}\n")
                assert json.loads(await process.stdout.readline()) == {"type": "ready", "name": "poet"}
                for number in range(30):  # far more than the poet's day brings
                    process.stdin.write(json.dumps({"number": number, "state": "{}", "text": "ask why"}).encode() + b"\n")
                    said = json.loads(await process.stdout.readline())
                    assert said["actions"] == [{"type": "send", "text": "".join(WORDS)}], said
                assert set(double.keys) == {f"Bearer {KEY}"}
            finally:
                process.stdin.close()
                await process.wait()

    asyncio.run(story())
