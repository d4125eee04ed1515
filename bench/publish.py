"""`python -m bench.publish URL SECONDS runs|conversations COUNT RATE`: publish events, like many busy workers.

The first COUNT runs or conversations, by their ids, receive RATE events per second each. The events are spread evenly: every 50 ms some of them receive
one event. One statement publishes these in the same way as apps.live.events.publish does for one run.
"""

from __future__ import annotations

import sys
import time

import orjson
import psycopg

TICK_SECONDS = 0.05

PUBLISH = """
WITH updated AS (
    UPDATE {table} SET event_sequence = event_sequence + 1 WHERE id = ANY(%(ids)s)
    RETURNING id, org_id, event_sequence
), new_event AS (
    INSERT INTO {event_table} (id, org_id, {id_column}, sequence, kind, body, at)
    SELECT gen_random_uuid(), org_id, id, event_sequence, '{kind}', %(body)s::jsonb, now() FROM updated
    RETURNING org_id, {id_column} AS subject, sequence
)
SELECT count(pg_notify('drover_events', org_id || '|' || subject || '|' || sequence || '||{kind}|' || %(body)s))
FROM new_event
"""
SUBJECTS = {
    "runs": {
        "table": "runs_run",
        "event_table": "runs_event",
        "id_column": "run_id",
        "kind": "progress",
    },
    "conversations": {
        "table": "agent_conversation",
        "event_table": "agent_event",
        "id_column": "conversation_id",
        "kind": "token",
    },
}


def main(url: str, seconds: float, subject: str, count: int, rate: int) -> None:
    names = SUBJECTS[subject]
    statement = PUBLISH.format(**names).encode()
    groups = round(1 / (rate * TICK_SECONDS))  # each tick publishes to one group
    with psycopg.connect(url, autocommit=True) as connection:
        select = f"SELECT id FROM {names['table']} ORDER BY id LIMIT %s"  # noqa: S608 - our own table names
        ids = [row[0] for row in connection.execute(select.encode(), [count])]
        started = time.monotonic()
        tick = 0
        while (due_seconds := tick * TICK_SECONDS) < seconds:
            time.sleep(max(0.0, started + due_seconds - time.monotonic()))
            body = {"read": tick, "turn": 1, "message": "m", "text": "word ", "sent": time.time()}
            parameters = {"ids": ids[tick % groups :: groups], "body": orjson.dumps(body).decode()}
            connection.execute(statement, parameters)
            tick += 1


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
