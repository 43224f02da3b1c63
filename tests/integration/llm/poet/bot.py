"""Says what its model says."""

import os

from botstead import Bot, Llm

bot = Bot("poet")


@bot.command("ask <question>")
async def ask(question: str, llm: Llm) -> str:
    """Ask the model."""
    return (await llm.ask(question)).text


@bot.command("fail")
async def fail(llm: Llm) -> str:
    """Ask the model, then fail."""
    await llm.ask("?")
    raise ValueError


@bot.command("die")
async def die(llm: Llm) -> str:
    """Ask the model, then die."""
    await llm.ask("?")
    os._exit(3)


@bot.command("stream <question>")
async def stream(question: str, llm: Llm):
    """Say what the model says, while it says it."""
    async for piece in llm.stream(question):
        yield piece
