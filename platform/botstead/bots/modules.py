"""Importing a bot's own modules, so that two bots may each have a `prices.py` and neither touches `sys.path`.

Each bot's folder becomes a package under a name of its own. Inside it, `import prices` looks into the bot's folder
first: the modules get an `__import__` that knows their package. It is found through a module's `__builtins__`
(https://docs.python.org/3/reference/executionmodel.html#builtins-and-restricted-execution), so it also serves imports
within functions, long after loading.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import itertools
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PREFIX = "botstead_bot_"
_numbers = itertools.count(1)


def import_bot(folder: Path) -> types.ModuleType:
    """Import `bot.py` of a folder, anew each time.

    Args:
        folder: the bot's folder.

    Raises:
        Exception: whatever the author's code raises.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    package = types.ModuleType(f"{PREFIX}{next(_numbers)}")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    importlib.invalidate_caches()
    try:
        return importlib.import_module(f"{package.__name__}.bot")
    except BaseException:
        for name in [name for name in sys.modules if name.partition(".")[0] == package.__name__]:
            del sys.modules[name]
        raise


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of bots, and gives them our loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if not fullname.startswith(PREFIX) or path is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads one module of a bot with the bot's own `__import__`."""

    def exec_module(self, module: types.ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        package = module.__name__.partition(".")[0]
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import_within(package)}
        super().exec_module(module)


def _import_within(package: str) -> Callable[..., Any]:
    folder = Path(sys.modules[package].__path__[0])

    def import_(name: str, *context: Any, **named: Any) -> Any:
        scope, names, fromlist, level = _context(*context, **named)
        top = name.partition(".")[0]
        if level or not ((folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file()):
            return builtins.__import__(name, scope, names, fromlist, level)
        module = builtins.__import__(f"{package}.{name}", scope, names, fromlist, 0)
        return module if fromlist else sys.modules[f"{package}.{top}"]

    return import_


def _context(scope: Any = None, names: Any = None, fromlist: Sequence[str] = (), level: int = 0) -> Any:
    return scope, names, fromlist or (), level
