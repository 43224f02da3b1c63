"""From a folder to a bot, or to one sentence that names the file and line of the mistake."""

from __future__ import annotations

import traceback
import types
from collections.abc import Iterable
from pathlib import Path

import msgspec

from botstead.bots.bot import Bot
from botstead.bots.manifest import FILE, Manifest, read_manifest
from botstead.bots.modules import import_bot
from botstead.core.errors import BotBroken

SOURCE = "bot.py"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A bot and what its `bot.toml` says.

    Args:
        bot: the author's object.
        manifest: what `bot.toml` says.
        folder: where it came from.
    """

    bot: Bot
    manifest: Manifest
    folder: Path

    @property
    def name(self) -> str:
        """The name it runs under."""
        return self.manifest.name or self.bot.name


def discover(folders: Iterable[Path]) -> list[Path]:
    """Find the folders that hold a bot: those given, and those directly in them, sorted by path.

    Args:
        folders: a bot's folder, or a folder of such; one that does not exist holds none.
    """
    found: dict[Path, None] = {}
    for folder in folders:
        inner = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        for candidate in (folder, *inner):
            if (candidate / SOURCE).is_file() or (candidate / FILE).is_file():
                found[candidate.resolve()] = None
    return list(found)


def load(folder: Path) -> Loaded:
    """Load the bot of a folder, anew each time.

    Args:
        folder: holds `bot.py` and perhaps `bot.toml`.

    Raises:
        BotBroken: something in it is wrong; the message names file and line.
    """
    folder = folder.resolve()
    manifest = read_manifest(folder)
    if not (folder / SOURCE).is_file():
        raise BotBroken(f"{folder} has no {SOURCE}. `botstead new {folder.name}` writes a first one.")
    try:
        module = import_bot(folder)
    except BotBroken as error:
        if str(folder) in error.message:
            raise
        raise BotBroken(f"{_place(error, folder)}: {error.message}") from error
    except SyntaxError as error:
        raise BotBroken(f"{error.filename} line {error.lineno}: {error.msg}.") from error
    except (Exception, SystemExit) as error:
        raise BotBroken(f"{_place(error, folder)}: {type(error).__name__}: {error}.") from error
    return Loaded(bot=_only_bot(module, folder), manifest=manifest, folder=folder)


def _only_bot(module: types.ModuleType, folder: Path) -> Bot:
    found = {id(value): value for value in vars(module).values() if isinstance(value, Bot)}
    if len(found) == 1:
        return next(iter(found.values()))
    what = "has no Bot. Add: bot = Bot(…)" if not found else f"has {len(found)} Bots. Put each into a folder of its own"
    raise BotBroken(f"{folder / SOURCE} {what}.")


def _place(error: BaseException, folder: Path) -> str:
    """Name the innermost line of the author's own that led to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    return f"{own[-1].filename} line {own[-1].lineno}" if own else str(folder / SOURCE)
