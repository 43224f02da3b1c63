"""`botstead`: one command line for people. Each command is imported only when it is called, so that help is instant."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "up": "appliance:up",
    "down": "appliance:down",
    "run": "run:run",
    "migrate": "run:migrate",
    "init": "init:init",
    "configure": "configure:configure",
    "doctor": "doctor:doctor",
    "upgrade": "upgrade:upgrade",
    "rollback": "upgrade:rollback",
    "prove": "prove:prove",
    "new": "author:new",
    "dev": "author:dev",
    "test": "author:test",
    "bots": "bots:bots",
    "channels": "channels:channels",
    "conversations": "conversations:conversations",
    "send": "conversations:send",
    "messages": "messages:messages",
    "objectives": "objectives:objectives",
    "dead-letters": "letters:letters",
    "payments": "payments:payments",
    "keys": "keys:keys",
}
"""Command name to `module:attribute` in this folder."""


class _Commands(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name].split(":")
        command = getattr(importlib.import_module(f"botstead.processes.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Commands)
@click.version_option(package_name="botstead")
def main() -> None:
    """Run bots in production: nothing lost, in order, and you can see where it is."""
