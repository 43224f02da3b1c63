"""Is it the database? Use, waits and errors of Postgres and Valkey, as they say themselves and as their clients see them."""

from __future__ import annotations

from dashboards.design import (
    BAD,
    BYTES,
    EVENTS,
    GOOD,
    RATIO,
    SECONDS,
    WARN,
    Board,
    Column,
    Limits,
    Query,
    Row,
    Series,
    Stat,
    States,
    Table,
)
from dashboards.limits import limit, within
from dashboards.queries import quantile, quantiles, rate

CLIENT = "db_client_operation_duration_seconds"
POSTGRES, VALKEY = 'db_system_name="postgresql"', 'db_system_name="valkey"'
UP = {0: ("down", BAD), 1: ("up", GOOD)}
GENTLE = {0: ("down", WARN), 1: ("up", GOOD)}
"""Without Valkey everything goes on, only slower."""

VERDICT = Row(
    "Are they there?",
    (
        Stat(
            "Postgres",
            says="Whether it answered the last look. Without it nothing is acknowledged, and nothing is lost.",
            queries=(Query("max(postgres_up)"),),
            words=UP,
            runbook="PostgresDown",
            trend=False,
        ),
        Stat(
            "Connections used",
            says="Of those that users may have. Near the top, new processes cannot start.",
            queries=(Query("max(postgres_connections_ratio)"),),
            unit=RATIO,
            limits=Limits(warn=limit("PostgresConnectionsHigh", "share")),
            runbook="PostgresConnectionsHigh",
        ),
        Stat(
            "Oldest transaction",
            says="Nothing here needs minutes. A long one holds back vacuum, and perhaps locks.",
            queries=(Query("max(postgres_longest_transaction_seconds)"),),
            unit=SECONDS,
            limits=Limits(warn=limit("PostgresLongTransaction", "age")),
            runbook="PostgresLongTransaction",
        ),
        Stat(
            "Statements, p95",
            says="Of all processes. It is mostly the commit, so the disk.",
            queries=(Query(quantile(0.95, CLIENT, where=POSTGRES)),),
            unit=SECONDS,
            limits=Limits(warn=within("datastore_pg")),
            runbook="DatastorePgBurn",
        ),
        Stat(
            "Valkey",
            says="Whether it answered the last look. Without it everything goes on, only slower.",
            queries=(Query("max(valkey_up)"),),
            words=GENTLE,
            runbook="ValkeyDown",
            trend=False,
        ),
        Stat(
            "Database size",
            says="On disk. Divide the free disk by its growth a day: so many days are left.",
            queries=(Query("max(postgres_database_size_bytes)"),),
            unit=BYTES,
            opens="machine",
        ),
    ),
)

CLIENTS = Row(
    "What do our processes see?",
    (
        States(
            "Up",
            says="Whether they answered. A gap: no scheduler led, so nobody asked.",
            queries=(Query("max(postgres_up)", "Postgres"), Query("max(valkey_up)", "Valkey")),
            words=UP,
            runbook="PostgresDown",
            wide=24,
            high=5,
        ),
        Series(
            "Postgres operations",
            says="Time of a statement. The limit is what is promised; an acknowledgement waits for one of these.",
            queries=quantiles(CLIENT, where=POSTGRES),
            unit=SECONDS,
            limits=Limits(warn=within("datastore_pg")),
            runbook="DatastorePgBurn",
        ),
        Series(
            "Valkey operations",
            says="Time of an operation. Slow ones are given up, and the platform goes on without.",
            queries=quantiles(CLIENT, where=VALKEY),
            unit=SECONDS,
            limits=Limits(warn=within("datastore_valkey")),
            runbook="DatastoreValkeyBurn",
        ),
        Series(
            "Slowest statements, p95",
            says="The ten slowest by name. Their text is in the named SQL files of the program.",
            queries=(Query(f"topk(10, {quantile(0.95, CLIENT, 'db_operation_name', where=POSTGRES)})", "{{db_operation_name}}"),),
            unit=SECONDS,
            runbook="DatastorePgBurn",
        ),
        Series(
            "Statements a second",
            says="The ten most frequent. It follows the messages; without them it is polling.",
            queries=(
                Query(f"topk(10, {rate(f'{CLIENT}_count', 'db_operation_name', where=POSTGRES)})", "{{db_operation_name}}"),
            ),
            unit=EVENTS,
        ),
        Series(
            "Connections of our pools",
            says="Used, idle, and tasks that wait for one. Waiting is 0; otherwise something holds connections too long.",
            queries=(Query("sum by (state) (db_client_connections)", "{{state}}"),),
            runbook="PostgresConnectionsHigh",
        ),
        Series(
            "Connections",
            says="Of all clients, as a share of those that users may have.",
            queries=(Query("max(postgres_connections_ratio)", "used"),),
            unit=RATIO,
            most=1,
            limits=Limits(warn=limit("PostgresConnectionsHigh", "share")),
            runbook="PostgresConnectionsHigh",
        ),
    ),
)

POSTGRES_ROW = Row(
    "Inside Postgres",
    (
        Series(
            "Longest transaction",
            says="A line that climbs is one transaction that nobody ends.",
            queries=(Query("max(postgres_longest_transaction_seconds)", "oldest"),),
            unit=SECONDS,
            limits=Limits(warn=limit("PostgresLongTransaction", "age")),
            runbook="PostgresLongTransaction",
        ),
        Series(
            "Deadlocks",
            says="None is normal. Early checkpoints mean that much is written; raise max_wal_size when they are frequent.",
            queries=(
                Query("sum(increase(postgres_deadlocks_total[$__rate_interval]))", "deadlocks"),
                Query("sum(increase(postgres_checkpoints_requested_total[$__rate_interval]))", "early checkpoints"),
            ),
            runbook="PostgresDeadlocks",
        ),
        Table(
            "Dead rows",
            says="Share of dead rows, of tables with a thousand or more. Above the limit: what holds vacuum back?",
            keys={"table": "Table"},
            columns=(
                Column("Dead", "max by (table) (postgres_dead_tuple_ratio)", RATIO, Limits(warn=limit("PostgresBloat", "dead"))),
            ),
            worst="Dead",
            runbook="PostgresBloat",
            empty_ok="no table has a thousand dead rows",
            wide=12,
        ),
        Series(
            "Database size by time",
            says="It grows with history. Steps down are parts that were dropped.",
            queries=(Query("max(postgres_database_size_bytes)", "size"),),
            unit=BYTES,
        ),
    ),
)

VALKEY_ROW = Row(
    "Inside Valkey",
    (
        Series(
            "Valkey memory",
            says="Of its maxmemory. It holds no truth: when it is full it forgets, and things are slower.",
            queries=(Query("max(valkey_memory_used_ratio)", "used"),),
            unit=RATIO,
            most=1,
            limits=Limits(warn=limit("ValkeyMemoryHigh", "share")),
            runbook="ValkeyMemoryHigh",
            empty_ok="maxmemory is not set",
        ),
        Series(
            "Evicted keys",
            says="Keys given up for want of memory, and connections refused.",
            queries=(
                Query("sum(increase(valkey_evicted_keys_total[$__rate_interval]))", "evicted keys"),
                Query("sum(increase(valkey_rejected_connections_total[$__rate_interval]))", "refused connections"),
            ),
            runbook="ValkeyEvicting",
        ),
        Series(
            "Clients", says="About three for each of our processes.", queries=(Query("max(valkey_connected_clients)", "clients"),)
        ),
        States(
            "Last save",
            says="Whether it went well; also well when nothing is saved.",
            queries=(Query("max(valkey_last_save_ok)", "last save"),),
            words={0: ("failed", WARN), 1: ("well", GOOD)},
            runbook="ValkeyPersistenceFailing",
            wide=12,
        ),
    ),
    closed=True,
)

BOARD = Board(
    uid="datastores",
    title="Datastores",
    asks=("Is it the database?", "Which statement is slow?", "Does something hold connections or locks?"),
    rows=(VERDICT, CLIENTS, POSTGRES_ROW, VALKEY_ROW),
)
