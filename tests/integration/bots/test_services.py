"""What handlers ask for by type and name, from `bot.toml` to the wire, in the worker's own process."""

from __future__ import annotations

import asyncio

import pytest

from botstead.bots.manifest import read_manifest
from botstead.bots.runner import PythonBot
from botstead.core.errors import BotBroken, HandlerFailed
from botstead.core.messages import Event, Kind
from botstead.core.ports import Incoming
from botstead.core.purse import PurseMeter
from botstead.core.secret import Secret
from botstead.core.settings import Settings
from botstead.processes.models import LanguageModels
from botstead.processes.services import Services, ToldSecrets, lacking, telling
from botstead.runtime.egress import Dialer, EgressClient
from botstead.runtime.outside import Outside
from botstead.store.valkey import MemoryCache
from tests.doubles.mail_server import mail_server
from tests.doubles.rest_service import rest_service
from tests.doubles.slack import TOKEN, slack

SOURCE = """
from botstead import Bot, Mail, Rest, Slack

bot = Bot("shop")


@bot.command("order <what>")
async def order(what: str, crm: Rest, stock: Rest, mail: Mail, slack: Slack) -> str:
    number = (await crm.json("orders", method="POST", data={"what": what}))["number"]
    left = await stock.json(("items", what))
    await mail.send("ann@example.com", "Ordered", what)
    await slack.post("#orders", Slack.escaped(what))
    return f"order {number}, {left['number']} left"
"""


class Given:
    """Secrets as a test wants them."""

    def __init__(self) -> None:
        self.values: dict[str, Secret] = {}

    def of(self, bot: str) -> dict[str, Secret]:
        return self.values if bot == "shop" else {}


def services(egress: EgressClient, given: Given) -> Services:
    """What a process of bots gives, with nothing but what these tests set up."""
    outside = Outside(egress, MemoryCache())
    models = LanguageModels(Settings(), outside, meter=PurseMeter(), secrets=given, shared=lambda _bot: None)
    return Services(outside=outside, dialer=Dialer(allow=["127.0.0.1"]), secrets=given, models=models)


def incoming(text: str) -> Incoming:
    event = Event(kind=Kind.MESSAGE, conversation="a", key="k", text=text)
    return Incoming(id=7, bot="shop", channel="t", account=1, conversation="1.a", event=event)


def toml(crm: str, stock: str, port: int, base: str) -> str:
    return (
        f'[rest.crm]\nbase = "{crm}"\nauth = "bearer"\nsecret = "crm_token"\n'
        f'[rest.stock]\nbase = "{stock}"\n'
        f'[mail]\nurl = "smtp://127.0.0.1:{port}"\nfrom = "shop@example.org"\nstarttls = false\n'
        f'[slack]\nsecret = "slack"\nbase = "{base}"\n'
    )


def test_from_the_file_to_the_wire(tmp_path):
    async def story() -> None:
        given, egress = Given(), EgressClient(allow=["127.0.0.1"])
        async with rest_service() as crm, rest_service() as stock, mail_server() as post, slack() as desk:
            (tmp_path / "bot.py").write_text(SOURCE)
            (tmp_path / "bot.toml").write_text(toml(crm.origin, stock.origin, post.port, desk.base))
            bot = PythonBot.load(tmp_path, providers=services(egress, given).of(read_manifest(tmp_path)))
            with pytest.raises(HandlerFailed, match="secret crm_token"):
                await bot.handle(incoming("/order mug"))
            given.values = {"crm_token": Secret("canary"), "slack": Secret(TOKEN)}
            effects = await bot.handle(incoming("/order <mug>"))
            assert [action.text for action in effects.actions] == ["order 1, 1 left"]
            assert (crm.asked[0].headers["authorization"], crm.asked[0].body) == ("Bearer canary", b'{"what":"<mug>"}')
            assert (stock.asked[0].target, "authorization" in stock.asked[0].headers) == ("/items/%3Cmug%3E", False)
            assert post.taken[0].rcpt_tos == ["ann@example.com"]
            assert desk.posts == [{"channel": "#orders", "text": "&lt;mug&gt;"}]
        await egress.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("parameter", "line"),
    [
        ("crm: Rest", 'Add to bot.toml: [rest.crm], base = "https://api.example.org".'),
        ("mail: Mail", "Add to bot.toml: [mail], url ="),
        ("post: Slack", 'Add to bot.toml: [slack], secret = "slack".'),
    ],
)
def test_what_is_not_declared_is_answered_with_the_table_to_add(tmp_path, parameter, line):
    (tmp_path / "bot.py").write_text(
        f"from botstead import Bot, Mail, Rest, Slack\nbot = Bot('shop')\n@bot.on.message\nasync def h({parameter}): ...\n"
    )
    found = services(EgressClient(allow=[]), Given()).of(read_manifest(tmp_path))
    with pytest.raises(BotBroken) as broken:
        PythonBot.load(tmp_path, providers=found)
    assert line in broken.value.message
    assert "bot.py line 3" in broken.value.message


def test_a_process_is_told_the_secrets_that_its_bot_names_and_no_other():
    kept = {"one": Secret("1"), "two": Secret("2")}
    told = ToldSecrets()
    told.take(telling(("one", "absent"), kept))
    assert {name: secret.reveal() for name, secret in told.of("any").items()} == {"one": "1"}
    assert telling((), kept) == b""


def test_what_a_bot_lacks_is_said_with_the_command_for_each():
    assert lacking("shop", ("one",), {"one": Secret("1")}) is None
    assert lacking("shop", ("one", "two"), {}) == (
        "It lacks the secret one. Set it: botstead bots secrets set shop one --file FILE; "
        "it lacks the secret two. Set it: botstead bots secrets set shop two --file FILE"
    )
