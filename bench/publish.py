"""`python -m bench.publish URL SECONDS`: publish two events per second to every run, like 1,000 busy workers.

The events are spread evenly: every 50 ms a tenth of the runs receive one event. One statement publishes them in the
same way as apps.live.events.publish does for one run.
"""

from __future__ import annotations

import sys
import time

import orjson
import psycopg

TICK_SECONDS = 0.05
GROUPS = 10  # each tick publishes to one group, so each run gets an event every half second

PUBLISH = """
WITH updated_run AS (
    UPDATE runs_run SET event_sequence = event_sequence + 1 WHERE id = ANY(%(runs)s)
    RETURNING id, org_id, event_sequence
), new_event AS (
    INSERT INTO runs_event (id, org_id, run_id, sequence, kind, body, at)
    SELECT gen_random_uuid(), org_id, id, event_sequence, 'progress', %(body)s::jsonb, now() FROM updated_run
    RETURNING org_id, run_id, sequence
)
SELECT count(pg_notify('drover_events', org_id || '|' || run_id || '|' || sequence || '||progress|' || %(body)s))
FROM new_event
"""


def main(url: str, seconds: float) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        runs = [row[0] for row in connection.execute("SELECT id FROM runs_run ORDER BY id")]
        started = time.monotonic()
        tick = 0
        while (due_seconds := tick * TICK_SECONDS) < seconds:
            time.sleep(max(0.0, started + due_seconds - time.monotonic()))
            body = orjson.dumps({"read": tick, "sent": time.time()}).decode()
            connection.execute(PUBLISH, {"runs": runs[tick % GROUPS :: GROUPS], "body": body})
            tick += 1


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
