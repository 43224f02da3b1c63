"""The doubles of REST services and of language models."""

from __future__ import annotations

import asyncio

import pytest

from botstead import Bot, Llm, Rest, chat_with
from botstead.core.errors import EgressError, HandlerFailed

bot = Bot("asker")


@bot.command("order <number>")
async def order(number: str, crm: Rest) -> str:
    try:
        found = await crm.json(("orders", number))
    except EgressError as error:
        return type(error).__name__
    return found["state"]


@bot.command("new <what>")
async def new(what: str, crm: Rest, stock: Rest) -> str:
    left = await stock.json("left", {"of": what})
    made = await crm.post("orders", {"what": what, "left": left})
    return str(made.status)


@bot.command("say <what...>")
async def say(what: str, llm: Llm) -> str:
    return (await llm.ask(what, system="Be brief.")).text


@bot.command("tell <what...>")
async def tell_all(what: str, llm: Llm):
    async for piece in llm.stream(what):
        yield piece


@bot.command("use <what...>")
async def use(what: str, llm: Llm) -> str:
    async def stock(item: str) -> str:
        """Say how many there are."""
        return f"3 of {item}"

    return (await llm.run(what, tools=[stock])).text


def story(tell, of=bot) -> None:
    async def told() -> None:
        async with chat_with(of) as chat:
            await tell(chat)

    asyncio.run(told())


def test_rest_services_answer_by_path_each_for_itself():
    async def tell(chat):
        chat.rest("crm").returns("orders/7", {"state": "sent"})
        chat.rest("crm").returns("/orders", status=201, method="POST")
        chat.rest("stock").returns("left?of=mug", 3)
        assert (await chat.send("order 7")).text == "sent"
        assert (await chat.send("new mug")).text == "201"
        assert chat.rest("crm").calls[-1].body == b'{"what":"mug","left":3}'
        with pytest.raises(HandlerFailed) as caught:
            await chat.send("order 8")
        assert 'chat.rest("crm").returns("orders/8", …)' in str(caught.value.__cause__)
        with pytest.raises(ValueError, match="give the path below"):
            chat.rest("crm").returns("https://crm.example/orders")

    story(tell)


def test_one_rest_service_is_broken_and_the_other_is_not():
    async def tell(chat):
        chat.rest("crm").returns("orders/7", {"state": "sent"})
        chat.rest("stock").broken()
        assert (await chat.send("order 7")).text == "sent"
        chat.rest("crm").returns("orders/7", "no", status=500)
        assert (await chat.send("order 7")).text == "RestAnswered"
        chat.rest("crm").throttled(9)
        assert (await chat.send("order 7")).text == "EgressResting"
        chat.rest("crm").well()
        chat.rest("crm").slow(11)
        assert (await chat.send("order 7")).text == "EgressTimeout"

    story(tell)


def test_a_declared_rest_service_gets_its_secret_as_a_placeholder(tmp_path):
    (tmp_path / "bot.py").write_text(
        "from botstead import Bot, Rest\nbot = Bot('b')\n"
        "@bot.on.message\nasync def h(crm: Rest):\n    return (await crm.json('me'))['name']\n"
    )
    (tmp_path / "bot.toml").write_text('[rest.crm]\nbase = "https://crm.example/v2"\nauth = "bearer"\nsecret = "crm"\n')

    async def tell(chat):
        chat.rest("crm").returns("me", {"name": "Ada"})
        assert (await chat.send("x")).text == "Ada"
        [call] = chat.rest("crm").calls
        assert call.url == "https://crm.example/v2/me"
        assert "{secret:" in call.headers["authorization"]

    story(tell, tmp_path)


def test_a_token_is_had_without_a_word_of_the_test(tmp_path):
    (tmp_path / "bot.py").write_text(
        "from botstead import Bot, Rest\nbot = Bot('b')\n"
        "@bot.on.message\nasync def h(crm: Rest):\n    return (await crm.json('me'))['name']\n"
    )
    (tmp_path / "bot.toml").write_text(
        '[rest.crm]\nbase = "https://crm.example"\nauth = "oauth2"\nsecret = "crm"\nclient_id = "b"\n'
        'token_url = "https://crm.example/token"\n'
    )

    async def tell(chat):
        chat.rest("crm").returns("me", {"name": "Ada"})
        assert (await chat.send("x")).text == "Ada"

    story(tell, tmp_path)


def test_a_language_model_says_what_the_test_says():
    async def tell(chat):
        assert (await chat.send("say hi")).text == "This is the test double of a language model."
        chat.llm.returns("Hello.")
        assert (await chat.send("say hi")).text == "Hello."
        assert [message["content"] for message in chat.llm.asked[-1].messages] == ["Be brief.", "hi"]
        chat.llm.streams("One, ", "two, ", "three.")
        assert (await chat.send("tell me")).text == "One, two, three."

    story(tell)


def test_a_language_model_wants_a_tool_called():
    async def tell(chat):
        chat.llm.calls("stock", item="mug")
        chat.llm.returns("There are three.")
        assert (await chat.send("use it")).text == "There are three."
        answer = chat.llm.asked[-1].messages[-1]
        assert (answer["role"], answer["content"]) == ("tool", "3 of mug")

    story(tell)


def test_a_language_model_that_is_away_or_breaks_off():
    async def tell(chat):
        chat.llm.broken(times=1)
        away = await chat.send("say hi")
        assert "language model" in away.text
        assert away.text != (await chat.send("say hi")).text
        chat.llm.streams("One, ", breaks=True)
        assert (await chat.send("tell me")).text == "The answer broke off. Please ask again."

    story(tell)
