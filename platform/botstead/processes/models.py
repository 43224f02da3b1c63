"""The language models of bots: who is asked, with which key, and what a day may bring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from botstead.bots.inject import Named
from botstead.bots.manifest import Manifest
from botstead.core.declared import LlmDeclared, needed
from botstead.core.errors import BotBroken, ConfigurationError
from botstead.core.metering import LlmUsage, Meter
from botstead.core.ports import BotSecrets
from botstead.core.secret import Secret
from botstead.core.settings import Settings
from botstead.integrations.llm import meter as metering
from botstead.integrations.llm.client import LanguageModel
from botstead.integrations.llm.server import Server
from botstead.pipeline.lending import Lending
from botstead.runtime.outside import Outside, Policy

SERVICE: Final = "llm"
POLICY: Final = Policy(tries=1, places=16)
SHARED: Final = "@llm_key"
"""The appliance's own key among what a bot's process is told; no secret of a bot can have that name."""


class LanguageModels:
    """Makes them. One object a process."""

    def __init__(
        self, settings: Settings, outside: Outside, *, meter: Meter, secrets: BotSecrets, shared: Callable[[str], Secret | None]
    ) -> None:
        """Prepare.

        Args:
            settings: with the appliance's own server and model.
            outside: the way out.
            meter: what was taken so far.
            secrets: of the bots of this process.
            shared: the appliance's own key, for a bot that uses its server.
        """
        self._settings = settings
        self._outside = outside
        self._meter = meter
        self._secrets = secrets
        self._shared = shared

    def of(self, manifest: Manifest) -> LanguageModel | Named:
        """Return what gives the handlers of one bot their `Llm`.

        Args:
            manifest: of the bot.

        Raises:
            BotBroken: nothing names the server, or the model.
        """
        if manifest.llm is None:
            return Named({}, lambda _name: "Add to bot.toml: [llm], and see the README of integrations/llm for its keys.")
        declared = effective(manifest.llm, self._settings)
        server = Server(
            self._outside.service(SERVICE, POLICY),
            base=declared.base,
            at=urlsplit(declared.base).netloc,
            model=declared.model,
            key=self._key(manifest.llm),
        )
        return LanguageModel(declared, server=server, meter=self._meter)

    def _key(self, declared: LlmDeclared) -> Callable[[str], Secret | None]:
        if not declared.base:
            return self._shared
        if not declared.secret:
            return lambda _bot: None
        return lambda bot: needed(self._secrets.of(bot), declared.secret, bot=bot)


def effective(declared: LlmDeclared, settings: Settings) -> LlmDeclared:
    """Fill in what the appliance says where a bot says nothing.

    Args:
        declared: the bot's.
        settings: of the appliance.

    Raises:
        BotBroken: nothing names the server, or the model.
    """
    filled = msgspec.structs.replace(
        declared, base=declared.base or settings.llm_base.rstrip("/"), model=declared.model or settings.llm_model
    )
    for key in ("base", "model"):
        if not getattr(filled, key):
            raise BotBroken(f"[llm] names no {key}, nor does the appliance. Add {key} there, or set BOTSTEAD_LLM_{key.upper()}.")
    return filled


def lending(manifest: Manifest, settings: Settings, meter: Meter) -> Lending | None:
    """Return what lends a bot in a process of its own a part of its day; None for a bot without a language model.

    Args:
        manifest: of the bot.
        settings: of the appliance.
        meter: what was taken so far.

    Raises:
        BotBroken: nothing names the server, or the model.
    """
    if manifest.llm is None:
        return None
    declared = effective(manifest.llm, settings)

    def taken(bot: str, usage: LlmUsage) -> None:
        metering.start(bot, declared.model)
        metering.count(bot, declared.model, usage)

    return Lending(meter, declared, taken=taken)


def shared_for(manifest: Manifest, key: Secret | None) -> dict[str, Secret]:
    """Return the appliance's own key by the name that a bot's process is told it under, where that bot uses its server.

    Args:
        manifest: of the bot.
        key: from `read_key`.
    """
    uses = manifest.llm is not None and not manifest.llm.base
    return {SHARED: key} if uses and key is not None else {}


def read_key(path: Path | None) -> Secret | None:
    """Read the appliance's own key.

    Args:
        path: setting `llm_key_file`.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    if path is None:
        return None
    try:
        return Secret(path.read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file of setting llm_key_file, {path}, cannot be read as text.") from error
