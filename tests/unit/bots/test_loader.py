"""Folders of bots: found, loaded without getting into each other's way, and mistakes named by file and line."""

from __future__ import annotations

import asyncio
import sys
import textwrap

import pytest

from botstead import chat_with
from botstead.bots.loader import discover, load
from botstead.bots.manifest import read_manifest
from botstead.bots.runner import PythonBot
from botstead.core.errors import BotBroken
from botstead.core.ports import Limits

GOOD = """
from botstead import Bot
bot = Bot("good")
"""


@pytest.fixture
def write(tmp_path):
    """Writes files into a folder of a bot and returns the folder."""

    def write(folder="good", **files):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name, text in files.items():
            (tmp_path / folder / name.replace("_toml", ".toml").replace("_py", ".py")).write_text(textwrap.dedent(text))
        return tmp_path / folder

    return write


def broken(folder) -> str:
    with pytest.raises(BotBroken) as caught:
        PythonBot.load(folder)
    return caught.value.message


def test_a_folder_with_everything(write):
    folder = write(
        bot_py=GOOD,
        bot_toml="""
        name = "other"
        description = "d"
        greeting = "g"
        promise = 2
        target = 99.9
        critical = true
        deadline = 7.5
        running = 3
        own_process = true
        memory = "256 mb"
        egress = ["API.example.org", "*.example.net", "127.0.0.1:9000"]
        """,
    )
    loaded = load(folder)
    assert (loaded.name, loaded.bot.name) == ("other", "good")
    assert loaded.manifest.egress == ("api.example.org", "*.example.net", "127.0.0.1:9000")
    assert (loaded.manifest.target, loaded.manifest.critical) == (99.9, True)
    assert loaded.manifest.limits == Limits(deadline=7.5, running=3, own_process=True, memory=256 << 20, promise=2.0)
    assert PythonBot.load(folder).name == "other"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("promis = 2", "line 2: unknown key promis. Did you mean promise?"),
        ("zzz = 2", "line 2: unknown key zzz. There are critical, deadline, description"),
        ("deadline = 0", "line 2: deadline is a number of seconds from 0 to 3600, not 0"),
        ("deadline = nan", "deadline is a number of seconds"),
        ("running = true", "running is a whole number"),
        ("target = 100", "line 2: target is a number of percent between 0 and 100, not 100"),
        ('target = "99"', "target is a number of percent"),
        ("critical = 1", "critical is true or false"),
        ("own_process = 1", "own_process is true or false"),
        ('memory = "much"', 'memory is a size such as "256MB"'),
        ('egress = "x"', "egress is a list of hosts"),
        ('egress = ["https://x.org/"]', "without https:// and path"),
        ("name = 3", "name is a text in quotes"),
        ('name = "A b"', "name cannot be 'A b'"),
        ('kind = "perl"', "kind is python or http"),
        ('kind = "http"', "an http bot needs its url"),
        ("= 3", "is no TOML"),
    ],
)
def test_mistakes_in_bot_toml_are_named(write, line, why):
    folder = write(bot_py=GOOD, bot_toml=f"# settings\n{line}\n")
    said = broken(folder)
    assert "bot.toml" in said
    assert why in said


def test_sizes(write):
    for text, size in {"64KB": 65536, "2GB": 2 << 30, "100B": 100, "7": 7}.items():
        assert read_manifest(write(bot_toml=f'memory = "{text}"')).limits.memory == size


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x = 1\nbot = Bot('x')\n", "bot.py line 2: NameError"),
        ("def x(:\n  pass\n", "bot.py line 1: "),
        ("import sys\nsys.exit(2)\n", "bot.py line 2: SystemExit"),
        ("x = 1\n", "bot.py has no Bot. Add: bot = Bot("),
        ("from botstead import Bot\na = Bot('a')\nb = Bot('b')\n", "bot.py has 2 Bots. Put each into a folder of its own"),
        ("from botstead import Bot\na = b = Bot('A')\n", "bot.py line 2: A bot cannot be called 'A'"),
        ("import inner\n", "inner.py line 3: ZeroDivisionError"),
        ("import nowhere_to_be_found\n", "bot.py line 1: ModuleNotFoundError"),
        ("from botstead import Bott\n", "bot.py line 1: ImportError"),
        (
            "from botstead import Bot\nbot = Bot('a')\n@bot.command('x <y>')\ndef h(z): ...\n",
            "bot.py line 3: parameter 'z' is not in",
        ),
    ],
)
def test_mistakes_in_bot_py_are_named(write, source, why):
    folder = write(bot_py=source, inner_py="\n\n1 / 0\n")
    before = set(sys.modules)
    assert why in broken(folder)
    assert not [name for name in set(sys.modules) - before if "inner" in name]


def test_a_folder_without_a_python_bot(write):
    assert "botstead new good` writes a first one" in broken(write())
    assert "holds a bot of kind http" in broken(write(bot_toml='kind = "http"\nurl = "http://x"', bot_py=GOOD))


def test_each_bot_has_modules_of_its_own(write):
    bot = """
    import dataclasses
    from botstead import Bot
    import prices, shop.counter
    from prices import PRICE
    from shop import counter as again
    bot = Bot("{name}")

    @bot.on.message
    async def price() -> str:
        import late
        from shop.counter import COUNT
        assert again is shop.counter
        return f"{{PRICE}} {{prices.PRICE}} {{late.LATE}} {{COUNT}}"
    """
    for name in ("one", "two"):
        folder = write(name, bot_py=bot.format(name=name), prices_py=f"PRICE = '{name}'", late_py=f"LATE = '{name}'")
        (folder / "shop").mkdir()
        (folder / "shop" / "__init__.py").write_text("")
        (folder / "shop" / "counter.py").write_text(f"COUNT = {len(name)}")

    async def story() -> None:
        path, modules = list(sys.path), set(sys.modules)
        async with chat_with(write("one")) as one, chat_with(write("two")) as two:
            assert (await one.send("x")).text == "one one one 3"
            assert (await two.send("x")).text == "two two two 3"
            assert (await one.send("x")).text == "one one one 3"
        assert sys.path == path
        new = set(sys.modules) - modules
        assert not new & {"prices", "late", "shop", "bot"}

    asyncio.run(story())


def test_types_of_a_bot_find_their_module(write):
    folder = write(
        bot_py="""
        from __future__ import annotations
        import dataclasses, typing, msgspec, sys
        from botstead import Bot
        bot = Bot("types")

        class Item(msgspec.Struct):
            child: Item | None = None

        @bot.on.message
        def h() -> str:
            assert sys.modules[Item.__module__].Item is Item
            return str(msgspec.json.decode(b'{"child":{}}', type=Item).child)
        """
    )

    async def story() -> str:
        async with chat_with(folder) as chat:
            return (await chat.send("x")).text

    assert asyncio.run(story()) == "Item(child=None)"


def test_a_restart_reads_the_files_again(write):
    source = """
    from botstead import Bot
    bot = Bot("again")
    @bot.on.message
    async def h() -> str:
        return "{}"
    """
    folder = write(bot_py=source.format("old"))

    async def story() -> None:
        async with chat_with(folder) as chat:
            assert (await chat.send("x")).text == "old"
            write(bot_py=source.format("brand new"))
            assert (await chat.send("x")).text == "old"
            await chat.restart()
            assert (await chat.send("x")).text == "brand new"

    asyncio.run(story())


def test_bots_are_found(write, tmp_path):
    for name in ("b", "a"):
        write(name, bot_py=GOOD)
    write("far", bot_toml='kind = "http"\nurl = "http://x"')
    write("none", notes_py="")
    assert [folder.name for folder in discover([tmp_path])] == ["a", "b", "far"]
    assert [folder.name for folder in discover([tmp_path / "b", tmp_path, tmp_path / "absent"])] == ["b", "a", "far"]
