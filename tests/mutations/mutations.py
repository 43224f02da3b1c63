"""Faults put into the platform on purpose, each against one promise, and the experiment that has to notice.

A text must occur exactly once in its file. Keep it short and about the guarantee itself, so that other changes do not touch it.
"""

from __future__ import annotations

import msgspec

ROAD = "store/sql/road.sql"


class Edit(msgspec.Struct, frozen=True):
    """One replacement.

    Args:
        file: in the package.
        old: text that is there once.
        new: text in its place.
    """

    file: str
    old: str
    new: str


class Mutation(msgspec.Struct, frozen=True):
    """One fault.

    Args:
        name: stable short name.
        promise: key of what it breaks.
        experiment: key of the one that has to notice, at scale small.
        why: what it does, in words.
        edits: how.
    """

    name: str
    promise: str
    experiment: str
    why: str
    edits: tuple[Edit, ...]


MUTATIONS = (
    Mutation(
        "acknowledged-before-commit",
        "P1",
        "E1",
        "a delivery is acknowledged while its commit is still under way",
        (
            Edit(
                "pipeline/inbox.py",
                "            return await self._commit(rows)\n",
                "            self.__dict__.setdefault('early', []).append(asyncio.create_task(self._commit(rows)))\n"
                "            return [1] * len(rows)\n",
            ),
        ),
    ),
    Mutation(
        "dedup-dropped",
        "P2",
        "E21",
        "what was delivered before is kept again",
        (Edit(ROAD, "SELECT new.* FROM new JOIN fresh USING (channel, key)", "SELECT new.* FROM new"),),
    ),
    Mutation(
        "read-after-last-seen",
        "P1",
        "E1",
        "rows are read by «id greater than the last one seen», though ids do not become visible in order",
        (
            Edit(
                "pipeline/worker.py",
                "            await self._add(fresh)\n",
                "            seen = self.__dict__.get('seen', 0)\n"
                "            self.__dict__['seen'] = max([seen, *(row.id for row in rows)])\n"
                "            await self._add([row for row in fresh if row.id > seen])\n",
            ),
        ),
    ),
    Mutation(
        "marked-before-sent",
        "P1",
        "E1",
        "a reply is marked as sent before it is sent",
        (
            Edit(
                "pipeline/delivery.py",
                "            receipt = await kind.deliver(item.sending, account, self._egress)\n",
                "            self._mark(Mark(item.partition, item.id, Outcome.SENT, '', '', '', item.attempts))\n"
                "            await asyncio.sleep(0.1)\n"
                "            receipt = await kind.deliver(item.sending, account, self._egress)\n",
            ),
        ),
    ),
    Mutation(
        "replies-in-memory-only",
        "P1",
        "E1",
        "replies are sent from memory and never stand in the outbox",
        (Edit(ROAD, "SELECT partition, id FROM replies\n", "SELECT partition, id FROM replies WHERE false\n"),),
    ),
    Mutation(
        "replies-out-of-order",
        "P3",
        "E1",
        "the newest reply of a conversation goes out first",
        (
            Edit(
                "pipeline/delivery.py",
                "lane.outgoing.insert(place, outgoing)",
                "lane.outgoing.insert(int(lane.sending), outgoing)",
            ),
        ),
    ),
    Mutation(
        "state-forgotten",
        "P2",
        "E1",
        "of a conversation's states only the first one is kept, and what is in memory hides it until somebody dies",
        (Edit(ROAD, "SET version = excluded.version, state = excluded.state", "SET version = excluded.version"),),
    ),
    Mutation(
        "dead-never-buried",
        "P7",
        "E12",
        "nobody notices that a worker's lease has ended",
        (Edit(ROAD, "lease_until < clock_timestamp() AS expired", "false AS expired"),),
    ),
    Mutation(
        "no-suspects",
        "P5",
        "E20",
        "a message that took its process down runs again like any other",
        (Edit("pipeline/worker.py", "            if suspects:\n", "            if suspects and not suspects:\n"),),
    ),
    Mutation(
        "replayed-again",
        "P5",
        "E20",
        "a dead letter that was replayed may be replayed again",
        (
            Edit(
                "store/sql/letters.sql",
                "SET replayed_at = clock_timestamp() FROM mine",
                "SET replayed_at = NULL FROM mine",
            ),
        ),
    ),
    Mutation(
        "valkey-is-the-truth",
        "P10",
        "E5",
        "workers read when Valkey rings, and only then",
        (Edit("pipeline/worker.py", "within(POLL_EVERY, self._something)", "within(3_600, self._something)"),),
    ),
    Mutation(
        "keys-forgotten-early",
        "P13",
        "E14",
        "dedup keys are dropped while a provider may still deliver again",
        (Edit(ROAD, "make_interval(days => $1)", "make_interval(days => $1 - 5)"),),
    ),
    Mutation(
        "signature-unchecked",
        "P17",
        "E26",
        "a delivery with the wrong secret is believed",
        (Edit("channels/telegram/verify.py", "if not any(matches):", "if not matches:"),),
    ),
    Mutation(
        "old-signature-believed",
        "P17",
        "E27",
        "a signed delivery is believed however old it is",
        (Edit("runtime/signatures.py", "TOLERANCE: Final = 300.0", "TOLERANCE: Final = 3e9"),),
    ),
    Mutation(
        "edge-tries-once",
        "P12",
        "E15",
        "the edge does not try another process when one is gone",
        (Edit("processes/embedded/edge.py", '"try_duration": "5s"', '"try_duration": "0s"'),),
    ),
    Mutation(
        "edge-answers-200",
        "P17",
        "E18",
        "the edge answers what it refuses with success",
        (
            Edit(
                "processes/embedded/edge.py",
                '"static_response", "status_code": status',
                '"static_response", "status_code": "200"',
            ),
        ),
    ),
    Mutation(
        "two-lengths-kept-open",
        "P17",
        "E25",
        "the edge goes on serving a connection after a body in chunks that had a length too",
        (Edit("processes/embedded/edge.py", '"response": {"set": {"Connection": ["close"]}}', '"response": {"set": {}}'),),
    ),
    Mutation(
        "given-up-and-kept",
        "P11",
        "E11",
        "the connection of a call that was given up carries the next one",
        (
            Edit(
                "runtime/egress/client.py",
                "            connection.abort()\n            raise\n",
                "            connection._waiter, connection.reusable = None, True\n"
                "            self._pool.give_back(origin, connection)\n            raise\n",
            ),
        ),
    ),
    Mutation(
        "metadata-let-through",
        "P18",
        "E28",
        "link-local addresses are taken for public ones",
        (Edit("runtime/egress/addresses.py", '        "169.254.0.0/16",  # link-local, and the metadata of most clouds\n', ""),),
    ),
    Mutation(
        "redirects-followed",
        "P18",
        "E28",
        "a redirect is followed wherever it leads",
        (
            Edit("runtime/egress/general.py", "stream=True, follow_redirects=False", "stream=True, follow_redirects=True"),
            Edit("runtime/egress/general.py", "content=request.content,", "content=b'',"),
        ),
    ),
    Mutation(
        "first-address-checked",
        "P18",
        "E28",
        "of a name's addresses only the first one is checked",
        (Edit("runtime/egress/client.py", "self._guard.require(found, host=", "self._guard.require(found[:1], host="),),
    ),
    Mutation(
        "large-answers-give-up",
        "P1",
        "E10",
        "a reply is given up when the answer to it is too large",
        (
            Edit(
                "runtime/egress/wire.py", "import EgressBroken, EgressError,", "import EgressBroken, EgressError, EgressRefused,"
            ),
            Edit("runtime/egress/wire.py", 'EgressBroken(f"The answer is larger', 'EgressRefused(f"The answer is larger'),
        ),
    ),
    Mutation(
        "one-network-one-bulkhead",
        "P11",
        "E10",
        "all bots of a network share as many places as one of them can fill",
        (Edit("runtime/egress/client.py", "PLACES: Final = 256", "PLACES: Final = 64"),),
    ),
    Mutation(
        "retry-after-halved",
        "P11",
        "E10",
        "a provider that asks for a pause gets half of it",
        (Edit("pipeline/retry.py", "return Retry(after)", "return Retry(after / 2)"),),
    ),
    Mutation(
        "never-left-alone",
        "P11",
        "E10",
        "a service that fails again and again is called as before",
        (Edit("runtime/outside/breaker.py", "if self._failures < self._limit:", "if self._failures >= 0:"),),
    ),
    Mutation(
        "all-probe-at-once",
        "P11",
        "E10",
        "when a rest is over, all calls are let through to see",
        (
            Edit("runtime/outside/breaker.py", "if self._probing or now < self._until:", "if now < self._until:"),
            Edit(
                "runtime/outside/breaker.py",
                "        self._until = now + self._rest\n        return Ticket",
                "        return Ticket",
            ),
            Edit("runtime/outside/breaker.py", "return max(left, self._first) if self._probing else left", "return left"),
        ),
    ),
    Mutation(
        "certificates-believed",
        "P11",
        "E10",
        "whoever answers is believed to be the provider",
        (
            Edit(
                "runtime/egress/client.py",
                "httpx.create_ssl_context(trust_env=False)",
                "httpx.create_ssl_context(verify=False, trust_env=False)",
            ),
        ),
    ),
    Mutation(
        "filled-secret-logged",
        "P16",
        "E30",
        "a secret that is filled into a request is logged",
        (
            Edit(
                "runtime/egress/request.py",
                "    value = secret.reveal()\n",
                "    value = secret.reveal()\n    __import__('logging').getLogger(__name__).debug('filled in %s', value)\n",
            ),
        ),
    ),
    Mutation(
        "broken-address-repeated",
        "P16",
        "E30",
        "an error tells the address that a handler calls, with the key in its query",
        (Edit("bots/http_client.py", '"The URL is no http', 'f"{url} is no http'),),
    ),
    Mutation(
        "provider-believed-discreet",
        "P16",
        "E30",
        "what a provider answers is kept as it is, also when it repeats our token",
        (Edit("channels/telegram/api.py", "hidden(reply.description, secrets)", "reply.description"),),
    ),
    Mutation(
        "page-key-of-the-try",
        "P21",
        "E41",
        "a page to pay at is asked for under a key of the try, not of the order",
        (
            Edit(
                "integrations/stripe/client.py",
                '_keys(f"{order.key}:session")',
                '_keys(f"{order.key}:{self._clock.now()}")',
            ),
        ),
    ),
    Mutation(
        "refund-key-of-the-try",
        "P21",
        "E41",
        "money is given back under a key of the try, not of the message that asks for it",
        (Edit("operate/payments/paying.py", 'uuid.uuid5(row.key, f"refund {asking}")', "uuid.uuid4()"),),
    ),
    Mutation(
        "payments-go-back",
        "P21",
        "E41",
        "a payment takes the state that was said last, though what is said comes in no order",
        (Edit("operate/payments/state.py", "return max(state, said, key=RANK.__getitem__)", "return said"),),
    ),
    Mutation(
        "nobody-asks-after",
        "P21",
        "E41",
        "a payment whose webhook was lost is never asked after",
        (Edit("store/sql/payments.sql", "AND state IN ('opened', 'pending', 'approved')", "AND state IN ('opened')"),),
    ),
    Mutation(
        "answers-kept-unread",
        "P16",
        "E30",
        "an answer that repeats the key it was asked with is kept in the cache",
        (Edit("integrations/rest/service.py", " or self._is_repeated(bot, response, secrets)", ""),),
    ),
    Mutation(
        "complete-is-paid",
        "P21",
        "E41",
        "a page that a person has gone through counts as paid, though the money comes in days or not at all",
        (
            Edit(
                "integrations/stripe/models.py",
                "    if session.payment_status != _UNPAID:\n",
                '    if session.status == "complete":\n',
            ),
        ),
    ),
)
