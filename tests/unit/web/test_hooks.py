"""The hooks by bare ASGI calls: the same answer to every stranger, 4xx for a client's faults, 503 for ours."""

from __future__ import annotations

import asyncio
import uuid

import msgspec
import pytest
from litestar import Litestar, get

from botstead.core.errors import Rejected, TooMany, Unavailable, Unreadable
from botstead.core.messages import Answer, Event, Kind, Parsed
from botstead.core.ports import Account
from botstead.telemetry.catalog import ACK, REJECTED, register
from botstead.telemetry.exemplars import kept
from botstead.web import hooks
from botstead.web.hooks import MOST_EVENTS, HookDeps, Hooks

ACCOUNT = Account(id=1, public_id="ch1", kind="plain", bot=1, bot_name="echo")
SIGNED = ((b"x-key", b"right"),)


@get("/elsewhere")
async def elsewhere() -> str:
    """Answer what is no delivery."""
    await asyncio.sleep(0)
    return "here"


class Plain:
    """A network whose signature is a header and whose deliveries are JSON lists of texts."""

    kind = "plain"
    answer: Answer | None = None

    def verify(self, delivery, account, now):
        if delivery.header(b"x-key") != b"right":
            raise Rejected

    def parse(self, delivery, account):
        try:
            texts = msgspec.json.decode(delivery.body, type=list[str])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable from error
        moved = {"moved_to": "new"} if "moved" in texts else {}
        kind = Kind.MOVED if moved else Kind.MESSAGE
        return Parsed(tuple(Event(kind=kind, conversation="c", key=text, text=text, **moved) for text in texts), self.answer)


class Door:
    """What the hooks hand events to."""

    def __init__(self, *accounts: Account) -> None:
        self.accounts = {account.public_id: account for account in accounts}
        self.kept: list[Event] = []
        self.moved: list[tuple[Event, int]] = []
        self.error: Exception | None = None
        self.kind = Plain()

    async def find(self, public_id):
        return self.accounts.get(public_id)

    async def accept(self, account, events):
        if self.error:
            raise self.error
        self.kept.extend(events)
        return len(events)

    async def note_move(self, account, event):
        self.moved.append((event, len(self.kept)))

    def app(self, *, limit: int = 1_000_000) -> Hooks:
        deps = HookDeps(find=self.find, kinds={"plain": self.kind}, accept=self.accept, moved=self.note_move, body_limit=limit)
        return Hooks(deps, otherwise=Litestar([elsewhere], openapi_config=None))


def call(app, body=b"[]", *, path="/hooks/ch1", headers=SIGNED, method="POST", chunk=65_536, hang_up=False):
    """Make one request; returns status, headers, decoded body, and how many bytes were taken from the client."""

    async def story():
        sent, taken = [], 0
        parts = [body[at : at + chunk] for at in range(0, len(body), chunk)] or [b""]

        async def receive():
            nonlocal taken
            if hang_up:
                return {"type": "http.disconnect"}
            part = parts.pop(0)
            taken += len(part)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": list(headers),
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        await app(scope, receive, send)
        status = next(message["status"] for message in sent if message["type"] == "http.response.start")
        given = dict(next(message["headers"] for message in sent if message["type"] == "http.response.start"))
        whole = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        return status, given, whole, taken

    return asyncio.run(story())


def test_a_signed_delivery_is_kept_before_it_is_acknowledged():
    door = Door(ACCOUNT)
    status, headers, body, _ = call(door.app(), b'["a","b"]')
    assert (status, body) == (200, b"{}")
    assert headers[b"content-length"] == b"2"
    assert [event.text for event in door.kept] == ["a", "b"]


def test_strangers_all_get_the_same_answer():
    door = Door(ACCOUNT, msgspec.structs.replace(ACCOUNT, public_id="off", enabled=False))
    app = door.app()
    answers = [
        call(app, b'["a"]', headers=()),
        call(app, b'["a"]', headers=((b"x-key", b"wrong"),)),
        call(app, b'["a"]', headers=SIGNED * 2),
        *(call(app, b'["a"]', path=f"/hooks/{name}") for name in ("nobody", "ch1/more", "", "off", "\0", "ch\ud800", "x" * 5000)
          if "\ud800" not in name),
    ]  # fmt: skip
    assert {(status, body) for status, _, body, _ in answers} == {(401, answers[0][2])}
    assert len({tuple(headers.items()) for _, headers, _, _ in answers}) == 1
    assert msgspec.json.decode(answers[0][2])["code"] == "unauthorized"
    assert door.kept == []


def test_a_channel_of_a_kind_that_is_not_installed_is_unknown():
    door = Door(msgspec.structs.replace(ACCOUNT, kind="telepathy"))
    assert call(door.app())[0] == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_delivers(method):
    status, headers, body, _ = call(Door(ACCOUNT).app(), method=method)
    assert status == 405
    assert headers[b"allow"] == b"POST"
    assert headers[b"content-type"] == b"application/problem+json"
    assert msgspec.json.decode(body)["code"] == "method_not_allowed"


def test_a_declared_giant_is_refused_before_a_byte_is_read():
    status, _, _, taken = call(Door(ACCOUNT).app(), b"x" * 10_000_000, headers=(*SIGNED, (b"content-length", b"10000000")))
    assert (status, taken) == (413, 0)


@pytest.mark.parametrize(
    "declared", [(), ((b"content-length", b"12"),), ((b"content-length", b"-1"),), ((b"content-length", b"9" * 5000),)]
)
def test_an_undeclared_giant_is_refused_soon(declared):
    status, _, _, taken = call(Door(ACCOUNT).app(), b"x" * 10_000_000, headers=(*SIGNED, *declared))
    assert status == 413
    assert taken <= 1_000_000 + 65_536


def test_the_limit_itself_is_allowed():
    body = b'["' + b"x" * 996 + b'"]'
    assert call(Door(ACCOUNT).app(limit=1000), body)[0] == 200
    assert call(Door(ACCOUNT).app(limit=999), body)[0] == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 100_000, b'["\xff"]', b"\x00", b'["a\xed\xa0\x80"]', b'["\\ud800"]', b"[" + b"9" * 100_000 + b"]", b"[1e999999]", b"null"],
    ids=["empty", "cut", "deep", "not UTF-8", "NUL", "raw surrogate", "escaped surrogate", "huge int", "huge float", "null"],
)  # fmt: skip
def test_unreadable_bodies_are_the_clients_fault(body):
    status, _, answer, _ = call(Door(ACCOUNT).app(), body)
    assert 400 <= status < 500
    assert msgspec.json.decode(answer)["status"] == status


def test_too_many_events_are_refused_whole():
    door = Door(ACCOUNT)
    status, *_ = call(door.app(), msgspec.json.encode([str(n) for n in range(MOST_EVENTS + 1)]))
    assert status == 413
    assert door.kept == []


@pytest.mark.parametrize(("after", "said"), [(None, b"1"), (0.2, b"1"), (5.0, b"5"), (29.6, b"30")])
def test_unavailable_says_when_to_deliver_again(after, said):
    door = Door(ACCOUNT)
    door.error = Unavailable(after=after)
    status, headers, body, _ = call(door.app(), b'["a"]')
    assert (status, headers[b"retry-after"]) == (503, said)
    assert msgspec.json.decode(body)["code"] == "unavailable"


def test_too_many_says_when_to_deliver_again_too():
    door = Door(ACCOUNT)
    door.error = TooMany(after=7)
    status, headers, *_ = call(door.app(), b'["a"]')
    assert (status, headers[b"retry-after"]) == (429, b"7")


def test_an_event_that_cannot_be_kept_is_the_clients_fault():
    door = Door(ACCOUNT)
    door.error = Unreadable("The event holds a value that cannot be kept.")
    assert call(door.app(), b'["a"]')[0] == 400


def test_a_fault_of_ours_is_said_and_never_shown():
    door = Door(ACCOUNT)
    door.error = RuntimeError("dsn=postgres://secret")
    status, _, body, _ = call(door.app(), b'["a"]')
    assert status == 500
    assert b"secret" not in body


@pytest.mark.parametrize("answer", [Answer(b"challenge", b"text/plain"), Answer(b"", status=204), Answer(b'{"type":5}')])
def test_the_answer_of_the_parser_is_passed_through(answer):
    door = Door(ACCOUNT)
    door.kind.answer = answer
    status, headers, body, _ = call(door.app(), b"[]")
    assert (status, body, headers[b"content-type"]) == (answer.status, answer.body, answer.content_type)


def test_a_move_is_noted_before_its_events_are_kept():
    door = Door(ACCOUNT)
    assert call(door.app(), b'["moved"]')[0] == 200
    assert [(event.moved_to, kept) for event, kept in door.moved] == [("new", 0)]
    assert len(door.kept) == 1


def test_a_client_that_hangs_up_is_no_fault_of_ours():
    door = Door(ACCOUNT)
    assert call(door.app(), hang_up=True)[0] < 500
    assert door.kept == []


@pytest.mark.parametrize(("path", "status"), [("/elsewhere", 200), ("/hooksmith", 404), ("/hooks", 404)])
def test_what_is_no_delivery_is_handed_on(path, status):
    assert call(Door(ACCOUNT).app(), b"", path=path, method="GET")[0] == status


def test_only_acknowledged_deliveries_are_timed_and_our_own_faults_are_counted():
    """A stranger can neither spoil nor beautify the objective; a delivery that we cannot keep is a broken promise."""
    register("channel", "plain")

    def counted():
        return ACK.at("plain").count, REJECTED.at("plain", "unavailable").value, REJECTED.at("plain", "missing").value

    door = Door(ACCOUNT)
    before = counted()
    call(door.app(), b'["a"]')
    assert counted() == (before[0] + 1, before[1], before[2])
    call(door.app(), b'["a"]', headers=())
    call(door.app(), b"{")
    call(door.app(), method="GET")
    assert counted()[:2] == (before[0] + 1, before[1])
    for error in (Unavailable(), RuntimeError()):
        door.error = error
        call(door.app(), b'["a"]')
    assert counted()[:2] == (before[0] + 1, before[1] + 2)
    door.error = TooMany()
    call(door.app(), b'["a"]')
    assert counted()[:2] == (before[0] + 1, before[1] + 2)


@pytest.mark.parametrize(("slow", "leads"), [(-1.0, True), (60.0, False)])
def test_only_a_slow_acknowledgement_leads_to_its_message(monkeypatch, slow, leads):
    register("channel", "plain")
    trace = uuid.uuid4()

    class Noting(Door):
        async def accept(self, account, events):
            kept.set(trace)
            return await super().accept(account, events)

    monkeypatch.setattr(hooks, "SLOW", slow)
    histogram = ACK.at("plain")
    histogram.exemplars = None
    call(Noting(ACCOUNT).app(), b'["a"]')
    assert (histogram.exemplars is not None and trace.hex in str(histogram.exemplars)) is leads
