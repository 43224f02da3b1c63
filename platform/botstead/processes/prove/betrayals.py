"""Bots that hold secrets, and use them where everything goes wrong; they catch nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

BODY = '''
import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

from botstead import Bot, Http, Message

bot = Bot(Path(__file__).parent.name)
base = {base!r}
secure = base.replace("http", "https")
port = base.rpartition(":")[2]


async def fail_later() -> None:
    raise ValueError("{later}")


def fail_at_once() -> None:
    raise ValueError("{later}")


@bot.on.message
async def betray(message: Message, http: Http) -> str:
    """Do what the message says."""
    what = message.text.partition(" ")[0]
    headers = {{"Authorization": "Bearer {header}", "X-Key": "{key}"}}
    tail = "{path}?key={query}"
    if what in {{"401", "403", "429", "500", "200", "redirect", "garbage", "reset", "slow"}}:
        await http.get_json(f"{{base}}/{{what}}/{{tail}}", headers=headers, seconds=0.4 if what == "slow" else 4.0)
        await http.post_json(f"{{base}}/{{what}}/", {{"password": "{body}"}}, headers=headers, seconds=4.0)
        if what == "200":
            return "well"
        raise LookupError(f"{{what}} was taken for an answer")
    urls = {{
        "tls": f"{{secure}}/{{tail}}",
        "nowhere": f"http://nowhere.invalid/{{tail}}",
        "unlisted": f"http://127.0.0.2:1/{{tail}}",
        "closed": f"http://127.0.0.1:1/{{tail}}",
        "scheme": f"ftp://127.0.0.1/{{tail}}",
        "badport": f"http://127.0.0.1:99999/{{tail}}",
        "control": f"{{base}}/\\n{{tail}}",
        "blank": f"htt p://{{tail}}",
        "user": f"http://me:{userinfo}@127.0.0.1:{{port}}/",
        "brackets": f"http://[{{tail}}/",
        "host": f"http://{host}.invalid/",
    }}
    if what in urls:
        await http.get(urls[what], headers=headers)
    elif what == "headers":
        await http.get(f"{{base}}/200/", headers={{"X-Key": "{broken}\\r\\nX: y"}})
    elif what == "raise":
        raise ValueError("{raised}")
    elif what == "chain":
        try:
            raise KeyError("{caused}")
        except KeyError as error:
            raise RuntimeError("{raised}") from error
    elif what == "group":
        raise ExceptionGroup("{raised}", [ValueError("{grouped}")])
    elif what == "later":
        asyncio.get_running_loop().create_task(fail_later())
        await asyncio.sleep(0.01)
        return "well"
    elif what == "thread":
        thread = threading.Thread(target=fail_at_once)
        thread.start()
        thread.join()
        return "well"
    elif what == "exit":
        sys.exit("{raised}")
    elif what == "hang":
        hung = "{hung}"
        await asyncio.sleep(60 if hung else 0)
    elif what == "spin":
        hung, until = "{hung}", time.monotonic() + 1.5
        while hung and time.monotonic() < until:
            pass
        return "well"
    elif what == "abort":
        dying = "{dying}"
        os.abort() if dying else None
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return "well"
'''
LIMITS = 'egress = ["127.0.0.1", "nowhere.invalid", "*.invalid"]\ndeadline = 2\n'
OWN = "own_process = true\n"
CALLS = ("401", "403", "429", "500", "200", "redirect", "garbage", "reset", "slow")
"""What a service does, or what a handler says to it."""
URLS = ("tls", "nowhere", "unlisted", "closed", "scheme", "badport", "control", "blank", "user", "brackets", "host", "headers")
"""Calls that never arrive."""
RAISES = ("raise", "chain", "group", "exit")
ASIDE = ("later", "thread")
"""What fails beside a handler, which ends well."""
ENDS = ("hang", "abort", "kill")
"""What a bot in a process of its own does; the first two also in the worker at full scale."""
SECRETS: Mapping[str, str] = {
    "header": "header Authorization that a handler sends",
    "key": "header of a service's own that a handler sends",
    "path": "path that a handler calls",
    "query": "query that a handler calls",
    "body": "body that a handler posts",
    "userinfo": "password in a URL that a handler calls",
    "host": "host name that a handler calls",
    "broken": "header with a line break that a handler sends",
    "hung": "what a handler that hangs holds",
    "dying": "what a handler that aborts holds",
}
"""Key to what it is; nothing may ever show these."""
WORDS: Mapping[str, str] = {
    "raised": "words of what a handler raised",
    "caused": "words of what it was raised from",
    "grouped": "words inside a group that a handler raised",
    "later": "words of what a handler's own task raised",
}
"""Key to what it is; dead letters tell what handlers raised."""


def write(folder: Path, name: str, words: Mapping[str, str], *, base: str, more: str = "") -> None:
    """Write such a bot.

    Args:
        folder: of all bots.
        name: of the bot.
        words: key to secret, for each of `SECRETS` and `WORDS`.
        base: of the service that goes wrong.
        more: lines of its bot.toml.
    """
    (folder / name).mkdir(parents=True)
    (folder / name / "bot.py").write_text(BODY.format(base=base, **words))
    (folder / name / "bot.toml").write_text(LIMITS + more)


def write_broken(folder: Path, name: str, word: str, *, more: str = "") -> None:
    """Write a bot that cannot be loaded, and says why.

    Args:
        folder: of all bots.
        name: of the bot.
        word: that it says.
        more: lines of its bot.toml.
    """
    (folder / name).mkdir(parents=True)
    (folder / name / "bot.py").write_text(f"raise ValueError({word!r})\n")
    (folder / name / "bot.toml").write_text(LIMITS + more)
