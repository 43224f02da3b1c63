"""The readings of the whole installation, declared once: Postgres, Valkey, the host, queues, channels, who leads.

One process shows them, the leading scheduler, so that nothing is counted four times. Who fills them: `operate/vitals.py`,
`operate/host.py` and `operate/channels.py`.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from botstead.telemetry.readings import Readings

TOP_TABLES = 20
"""Tables shown in `postgres_dead_tuple_ratio`: those with the most dead rows."""
PAIRS = 150
"""Pairs of bot and channel shown at most."""
QUEUES = 2
CHANNEL_KINDS = 24
BOTS = 75
"""Bots with promises of their own that are shown at most."""


class Vitals(Readings):
    """What there is to read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare all of it.

        Args:
            registry: exposes them.
        """
        super().__init__(registry)
        self.leader = self.declare("scheduler_leader", "Whether this scheduler leads: 1 in exactly one of them.")
        self._declare_postgres()
        self._declare_valkey()
        self._declare_host()
        self._declare_queues()
        self._declare_channels()
        self._declare_payments()

    def _declare_postgres(self) -> None:
        say = self.declare
        self.postgres_up = say("postgres_up", "Whether Postgres answered the last look.")
        self.connections = say("postgres_connections_ratio", "Connections in use, as a share of those that users may have.")
        self.longest = say("postgres_longest_transaction_seconds", "Age of the oldest transaction that is still open.")
        self.size = say("postgres_database_size_bytes", "Size of our database on disk.")
        self.deadlocks = say("postgres_deadlocks_total", "Deadlocks that Postgres broke up.", kind="counter")
        self.checkpoints = say(
            "postgres_checkpoints_requested_total",
            "Checkpoints that came before their time, mostly because much was written.",
            kind="counter",
        )
        self.dead_tuples = say(
            "postgres_dead_tuple_ratio",
            "Share of a table's rows that are dead and wait for vacuum; the tables with most dead rows, 1,000 at least.",
            "table",
            max_sets=TOP_TABLES,
        )

    def _declare_valkey(self) -> None:
        say = self.declare
        self.valkey_up = say("valkey_up", "Whether Valkey answered the last look.")
        self.valkey_memory = say("valkey_memory_used_ratio", "Memory in use, as a share of maxmemory; absent without a limit.")
        self.valkey_evicted = say("valkey_evicted_keys_total", "Keys given up for want of memory.", kind="counter")
        self.valkey_rejected = say(
            "valkey_rejected_connections_total", "Connections refused because there were too many.", kind="counter"
        )
        self.valkey_saved = say("valkey_last_save_ok", "Whether the last save to disk went well; also 1 where nothing is saved.")
        self.valkey_clients = say("valkey_connected_clients", "Clients that are connected.")

    def _declare_host(self) -> None:
        say = self.declare
        self.pressure = say(
            "host_pressure_waiting_seconds_total",
            "Time in which something waited for this resource (Linux PSI, «some»); its rate is a share of time.",
            "resource",
            kind="counter",
            max_sets=3,
        )
        self.cpu = say(
            "host_cpu_seconds_total", "Time that the processors spent, all together.", "mode", kind="counter", max_sets=5
        )
        self.memory_available = say("host_memory_available_bytes", "Memory that programs can still get without swapping.")
        self.memory_total = say("host_memory_total_bytes", "Memory of this machine.")
        self.oom_kills = say("host_oom_kills_total", "Processes that the kernel killed for want of memory.", kind="counter")
        self.disk_free = say("host_disk_free_bytes", "Free space for us on the file system of the data folder.")
        self.disk_size = say("host_disk_size_bytes", "Size of the file system of the data folder.")
        self.clock_skew = say(
            "host_clock_skew_seconds", "This machine's clock minus that of Postgres, halfway through the question."
        )

    def _declare_queues(self) -> None:
        say = self.declare
        self.depth = say(
            "job_queue_depth",
            "Messages that wait: inbox, to be handled; outbox, to be sent. Counted up to 100,000. The canary's are left out.",
            "queue",
            max_sets=QUEUES,
        )
        self.oldest = say(
            "job_queue_oldest_timestamp_seconds",
            "When the oldest message of a queue came that could be worked on now; absent when none waits.",
            "queue",
            max_sets=QUEUES,
        )
        self.dead_letters = say(
            "job_dead_letters",
            "Messages given up and not put back: inbox, not handled; outbox, not sent.",
            "queue",
            max_sets=QUEUES,
        )
        self.outbox = say("bot_outbox_pending", "Messages to be sent, by kind of channel.", "channel", max_sets=CHANNEL_KINDS)
        self.outbox_oldest = say(
            "bot_outbox_oldest_timestamp_seconds",
            "When the oldest message was written that could be sent now: not held back by its provider or a disabled channel.",
            "channel",
            max_sets=CHANNEL_KINDS,
        )

        self.bot_target = say(
            "bot_target_ratio",
            "Share of its messages that a bot promises to answer, where its bot.toml says so.",
            "bot",
            max_sets=BOTS,
        )
        self.bot_critical = say(
            "bot_critical", "1 for each bot whose bot.toml says that it wakes a person; others are absent.", "bot", max_sets=BOTS
        )

    def _declare_channels(self) -> None:
        say = self.declare
        self.connected = say(
            "channel_connected",
            "Whether messages can come in on a channel, as far as its provider and we can tell.",
            "channel",
            "bot",
            max_sets=PAIRS,
        )
        self.last_event = say(
            "channel_last_event_timestamp_seconds", "When a channel last brought a message.", "channel", "bot", max_sets=PAIRS
        )
        self.missing = say(
            "channel_missing_events",
            "Messages that a channel would have brought since its last one, by its usual rhythm over the hours of a day.",
            "channel",
            "bot",
            max_sets=PAIRS,
        )

    def _declare_payments(self) -> None:
        say = self.declare
        self.unfulfilled = say(
            "payments_unfulfilled",
            "Payments that are paid, or do not match what was asked for, and that no bot has answered for.",
        )
        self.unfulfilled_since = say(
            "payments_unfulfilled_oldest_timestamp_seconds", "Since when the oldest of them waits; absent when there is none."
        )
        self.payment_unknown = say("payment_attempts_unknown", "Tries at payment providers of which nobody knows how they ended.")
        self.payment_unknown_since = say(
            "payment_attempts_unknown_oldest_timestamp_seconds", "When the oldest of them began; absent when there is none."
        )
