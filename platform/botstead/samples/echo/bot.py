"""The first bot: says what you say, counts, and shows buttons. Copy this folder to begin one of your own."""

from botstead import Bot, Button, Chat, Conversation, Message

bot = Bot("echo")


@bot.on.message
async def echo(message: Message, conversation: Conversation) -> str:
    """Say the same."""
    state = conversation.state
    state["count"] = state.get("count", 0) + 1
    return message.text


@bot.command("count")
async def count(conversation: Conversation) -> str:
    """Tell how many messages I have repeated here."""
    return f"I have repeated {conversation.state.get('count', 0)} messages so far."


@bot.command("buttons")
async def show_buttons(chat: Chat) -> None:
    """Show some buttons."""
    chat.send("Pick one:", buttons=[Button("Red", "color:red"), Button("Blue", "color:blue")])


@bot.on.button("color:<color>")
async def pick(color: str) -> str:
    """Say which button it was."""
    return f"You picked {color}."


@bot.command("name")
async def name(chat: Chat, conversation: Conversation) -> str:
    """Ask for your name, and remember it."""
    answer = await chat.ask("What is your name?")
    conversation.state["name"] = answer
    return f"Hello, {answer}!"
