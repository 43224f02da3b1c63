"""The canary: a bot like any other, which says what it hears. See `operate/canary.py`."""  # noqa: INP001  # a bot is a folder

from botstead import Bot, Message

bot = Bot("canary")


@bot.on.message
async def chirp(message: Message) -> str:
    """Say the same."""
    return message.text
