"""The doubles of outside services: what a test says is what the bot gets, and nothing ever really waits."""

from __future__ import annotations

import asyncio
import inspect
import time

import pytest

from botstead import Bot, Http, Mail, Slack, Weather, chat_with
from botstead.core.errors import BotBroken, EgressError, HandlerFailed
from botstead.integrations.mail.service import MailServer
from botstead.processes.rehearsal.mail import MailDouble
from botstead.processes.rehearsal.weather import WeatherDouble

bot = Bot("many", description="Uses everything.")
LIST = "https://shop.example/goods"


@bot.command("weather <city>")
async def weather_in(city: str, weather: Weather) -> str:
    today = await weather.today(city)
    return f"{today.summary}, {today.high:.0f} in {today.place} on {today.date}"


@bot.command("goods <what>")
async def goods(what: str, http: Http) -> str:
    try:
        found = await http.get_json(LIST, {"q": what}, seconds=2)
    except EgressError as error:
        return type(error).__name__
    return ", ".join(found)


@bot.command("order <what>")
async def order(what: str, http: Http) -> str:
    return str(await http.post_json(LIST, {"what": what}))


@bot.command("mail <to>")
async def mail_to(to: str, mail: Mail) -> str:
    try:
        return await mail.send(to, "Hello", "Good day\n", html="<p>Good day</p>")
    except EgressError as error:
        return type(error).__name__


@bot.command("post <text...>")
async def post(text: str, slack: Slack) -> str:
    try:
        return (await slack.post("#orders", Slack.escaped(text))).ts
    except EgressError as error:
        return type(error).__name__


def story(tell) -> None:
    async def told() -> None:
        async with chat_with(bot) as chat:
            await tell(chat)

    began = time.monotonic()
    asyncio.run(told())
    assert time.monotonic() - began < 5


def test_weather_is_what_the_test_says():
    async def tell(chat):
        assert (await chat.send("weather Oslo")).text == "Clear sky, 20 in Oslo on 2023-11-14"
        chat.weather.returns("Snow", city="oslo", high=-3)
        chat.weather.knows_no("Atlantis")
        assert (await chat.send("weather Oslo")).text.startswith("Snow, -3 in Oslo")
        assert (await chat.send("weather Lima")).text.startswith("Clear sky, 20 in Lima")
        assert "no such place" in (await chat.send("weather Atlantis")).text
        chat.weather.returns("Fog")
        await chat.restart()
        assert (await chat.send("weather Lima")).text.startswith("Fog")
        assert chat.weather.tries == 5
        with pytest.raises(ValueError, match="name the city"):
            chat.weather.knows_no("")

    story(tell)


def test_weather_that_is_slow_broken_throttled_and_well_again():
    async def tell(chat):
        sorry = "The weather service cannot be reached right now. Please try again in a few minutes."
        chat.weather.slow(5)
        began = chat.now
        assert (await chat.send("weather Oslo")).text.startswith("Clear sky")
        assert chat.now - began == 5
        chat.weather.slow(9)
        assert (await chat.send("weather Oslo")).text == sorry
        assert chat.now - began == 13  # it waited no longer than it may
        chat.weather.well()
        chat.weather.broken(times=1)
        assert [(await chat.send("weather Oslo")).text[:5] for _ in range(2)] == [sorry[:5], "Clear"]
        chat.weather.broken()
        assert [(await chat.send("weather Oslo")).text for _ in range(3)] == [sorry] * 3
        chat.weather.well()
        chat.weather.throttled(60)
        assert (await chat.send("weather Oslo")).text == sorry
        chat.advance(60)
        assert (await chat.send("weather Oslo")).text.startswith("Clear sky")

    story(tell)


def test_a_slow_service_runs_into_the_deadline_of_the_bot():
    slow = Bot("slow")

    @slow.on.message
    async def read(http: Http, text: str) -> str:
        return str((await http.get(LIST, seconds=100)).status)

    async def told() -> None:
        async with chat_with(slow) as chat:
            chat.http.returns(LIST)
            chat.http.slow(29)
            assert (await chat.send("a")).text == "200"
            chat.http.slow(31)
            with pytest.raises(HandlerFailed, match="ran longer than its deadline of 30 s"):
                await chat.send("b")

    asyncio.run(told())


def test_http_is_the_real_client_over_scripted_answers():
    async def tell(chat):
        chat.http.returns(LIST, ["mug", "tea"])
        chat.http.returns(f"{LIST}?q=none", "gone", status=404)
        chat.http.returns(LIST, {"number": 7}, method="post")
        assert (await chat.send("goods all")).text == "mug, tea"
        assert (await chat.send("goods none")).text == "EgressError"
        assert (await chat.send("order mug")).text == "{'number': 7}"
        assert [(call.method, call.url) for call in chat.http.calls][2] == ("POST", LIST)
        assert chat.http.calls[2].body == b'{"what":"mug"}'
        chat.http.slow(3)
        assert (await chat.send("goods all")).text == "EgressTimeout"
        chat.http.well()
        chat.http.broken()
        assert (await chat.send("goods all")).text == "EgressBroken"
        chat.http.well()
        chat.http.throttled(5)
        assert (await chat.send("goods all")).text == "EgressResting"

    story(tell)


def test_an_address_that_nobody_spoke_of_fails_the_test():
    async def tell(chat):
        with pytest.raises(HandlerFailed) as caught:
            await chat.send("goods all")
        assert str(caught.value.__cause__).startswith(f"nobody said what GET {LIST}?q=all answers: chat.http.returns(")

    story(tell)


def test_mail_is_kept():
    async def tell(chat):
        said = (await chat.send("mail ada@example.org")).text
        [sent] = chat.mail.sent
        assert (sent.to, sent.subject, sent.text, sent.html) == (
            ("ada@example.org",), "Hello", "Good day", "<p>Good day</p>",
        )  # fmt: skip
        assert said == sent.message_id
        assert (await chat.send("mail nobody")).text == "MailInvalid"
        chat.mail.throttled()
        assert (await chat.send("mail ada@example.org")).text == "MailDelayed"
        chat.mail.well()
        chat.mail.broken(times=1)
        assert (await chat.send("mail ada@example.org")).text == "EgressBroken"
        assert len(chat.mail.sent) == 1

    story(tell)


def test_posts_are_kept():
    async def tell(chat):
        said = (await chat.send("post a <b> & c")).text
        [posted] = chat.slack.posted
        assert (posted.channel, posted.text, posted.ts) == ("#orders", "a &lt;b&gt; &amp; c", said)
        chat.slack.refuses("channel_not_found")
        assert (await chat.send("post x")).text == "SlackChannelUnknown"
        chat.slack.refuses("")
        chat.slack.broken(times=1)
        assert (await chat.send("post x")).text == "EgressBroken"
        assert len(chat.slack.posted) == 1

    story(tell)


@pytest.mark.parametrize(
    ("imported", "parameter", "line"),
    [
        ("Mail", "mail", "Add to bot.toml: [mail]"),
        ("Weather", "weather", ""),
    ],
)
def test_what_a_folder_does_not_declare_is_refused_with_the_line_to_add(tmp_path, imported, parameter, line):
    source = f"from botstead import Bot, {imported}\nbot = Bot('b')\n@bot.on.message\nasync def h({parameter}: {imported}): ...\n"
    (tmp_path / "bot.py").write_text(source)

    async def told() -> None:
        async with chat_with(tmp_path):
            pass

    if not line:
        asyncio.run(told())
        return
    with pytest.raises(BotBroken) as caught:
        asyncio.run(told())
    assert line in caught.value.message


def test_hosts_that_bot_toml_does_not_list_are_refused(tmp_path):
    (tmp_path / "bot.py").write_text(
        "from botstead import Bot, Http\nbot = Bot('b')\n"
        "@bot.on.message\nasync def h(text: str, http: Http):\n    return str((await http.get(text)).status)\n"
    )
    (tmp_path / "bot.toml").write_text('egress = ["a.example"]\n')

    async def told() -> None:
        async with chat_with(tmp_path) as chat:
            chat.http.returns("https://a.example/")
            chat.http.returns("https://b.example/")
            assert (await chat.send("https://a.example/")).text == "200"
            with pytest.raises(HandlerFailed) as caught:
                await chat.send("https://b.example/")
            assert 'Add it to bot.toml: egress = ["b.example"]' in str(caught.value.__cause__)

    asyncio.run(told())


@pytest.mark.parametrize(("double", "real"), [(WeatherDouble, Weather), (MailDouble, MailServer)])
def test_a_double_answers_every_call_that_the_real_one_answers(double, real):
    for name, member in vars(real).items():
        if name.startswith("_") or not inspect.isfunction(member):
            continue
        own = inspect.getattr_static(double, name)
        assert own is not member, f"{double.__name__} leaves {name} to the real one"
        assert inspect.signature(own) == inspect.signature(member)
