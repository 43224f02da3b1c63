"""A bot that uses every outside service that can be declared, each with a secret of its own; it catches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

BOT = "trader"
BODY = '''
from pathlib import Path

from botstead import Bot, Chat, Llm, Mail, Message, Rest, Slack

bot = Bot(Path(__file__).parent.name)


@bot.on.message
async def trade(  # one of each
    message: Message, chat: Chat, slack: Slack, mail: Mail, llm: Llm,
    bearer: Rest, basic: Rest, header: Rest, query: Rest, oauth: Rest, hmac: Rest, cached: Rest,
) -> str:
    """Do what the message says."""
    what = message.text.partition(" ")[0]
    rest = {"bearer": bearer, "basic": basic, "header": header, "query": query, "oauth": oauth, "hmac": hmac}
    if what == "cached":
        await cached.json("orders", params={"n": "1"})
        return "well"
    if what in rest:
        await rest[what].json("orders", params={"n": "1"})
        await rest[what].post("orders", {"n": 1})
        raise LookupError(what)
    if what == "slack":
        await slack.post("#orders", "An order.")
    elif what == "mail":
        await mail.send("somebody@example.org", "An order", "Thank you.")
    elif what == "llm":
        await llm.ask("How are you?")
    elif what in {"stripe", "paypal"}:
        chat.pay("12.50", "EUR", "A mug", provider=what)
        return "please"
    return "well"
'''
MANIFEST = """
deadline = 8
[rest.bearer]
base = "{base}/401/bearer"
auth = "bearer"
secret = "bearer"
tries = 1
[rest.basic]
base = "{base}/500/basic"
auth = "basic"
user = "me"
secret = "basic"
tries = 1
[rest.header]
base = "{base}/redirect/header"
auth = "header"
header = "X-Key"
secret = "header"
tries = 1
[rest.query]
base = "{base}/garbage/query"
auth = "query"
parameter = "key"
secret = "query"
tries = 1
[rest.oauth]
base = "{base}/403/oauth"
auth = "oauth2"
token_url = "{base}/token/"
client_id = "me"
secret = "oauth"
tries = 1
[rest.hmac]
base = "{base}/200/hmac"
auth = "hmac"
header = "X-Signature"
secret = "hmac"
tries = 1
[rest.cached]
base = "{base}/200/cached"
auth = "header"
header = "X-Key"
secret = "cached"
cache = 60
[slack]
secret = "slack"
base = "{base}/400/slack"
[mail]
url = "smtp://{place}"
from = "shop@example.org"
secret = "mail"
timeout = 2
tries = 1
[llm]
base = "{base}/nested-401/llm"
model = "model"
secret = "llm"
"""
SECRETS: Mapping[str, tuple[str, str]] = {
    "bearer": ("token of a REST service", "{}"),
    "basic": ("password of a REST service", "{}"),
    "header": ("key in a header of a REST service", "{}"),
    "query": ("key in the query of a REST service", "{}"),
    "oauth": ("client secret of a REST service", "{}"),
    "hmac": ("signing key of a REST service", "{}"),
    "cached": ("key of a REST service whose answers are kept", "{}"),
    "slack": ("Slack token", "xoxb-{}"),
    "mail": ("SMTP password", "{}"),
    "llm": ("key of a language model", "{}"),
}
"""Name to what it is, and its shape."""
SENT = ("bearer", "basic", "header", "query", "oauth", "cached", "slack", "llm")
"""Those that go out; a signing key never does, and a password of mail only by TLS."""
ACCOUNTS: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    "stripe": (
        "nested-400",
        {"key": ("Stripe key", "sk_test_{}"), "webhook_secret": ("Stripe webhook secret", "whsec_{}")},
    ),
    "paypal": (
        "400",
        {"client_id": ("PayPal client id", "{}"), "client_secret": ("PayPal client secret", "{}")},
    ),
}
"""Kind of payment account to what its provider does, and its secrets as above."""
SIGNATURES: Mapping[str, str] = {"stripe": "Stripe-Signature", "paypal": "PayPal-Transmission-Sig"}
PAID = ("Stripe key", "PayPal client secret")
"""Those of accounts that go out."""
VERBS = (*SECRETS, *ACCOUNTS)


def write(folder: Path, *, base: str) -> None:
    """Write it.

    Args:
        folder: of all bots.
        base: of the service that goes wrong.
    """
    (folder / BOT).mkdir(parents=True)
    (folder / BOT / "bot.py").write_text(BODY)
    (folder / BOT / "bot.toml").write_text(MANIFEST.format(base=base, place=base.partition("//")[2]))
