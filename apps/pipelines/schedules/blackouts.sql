-- Whether a moment is within one of the windows of a schedule, in its time zone. apps/pipelines/schedules/blackouts.py
-- decides the same in Python. A time zone that PostgreSQL does not know counts as UTC: Python decides then.
CREATE OR REPLACE FUNCTION in_blackout(windows jsonb, zone text, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    now_there timestamp;
    w jsonb;
    starts time;
    ends time;
BEGIN
    IF windows IS NULL OR windows = '[]' THEN
        RETURN false;
    END IF;
    BEGIN
        now_there := moment AT TIME ZONE zone;
    EXCEPTION WHEN invalid_parameter_value THEN
        now_there := moment AT TIME ZONE 'UTC';
    END;
    FOR w IN SELECT value FROM jsonb_array_elements(windows) LOOP
        IF w ? 'weekdays' THEN
            starts := (w->>'start')::time;
            ends := (w->>'end')::time;
            IF w->'weekdays' ? to_char(now_there, 'fmday') AND now_there::time >= starts
                AND (ends <= starts OR now_there::time < ends) THEN
                RETURN true;
            END IF;
            IF ends <= starts AND now_there::time < ends
                AND w->'weekdays' ? to_char(now_there - interval '1 day', 'fmday') THEN
                RETURN true;
            END IF;
        ELSIF now_there::date BETWEEN (w->>'first_day')::date AND (w->>'last_day')::date THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;

-- Returns the moment since which this number of hours outside the windows has passed, to the hour, or -infinity if the
-- windows leave too few hours.
CREATE OR REPLACE FUNCTION hours_ago_outside_blackouts(hours integer, windows jsonb, zone text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce((
        SELECT moment FROM generate_series(now(), now() - make_interval(days => 31, hours => 12 * hours), '-1 hour') moment
        WHERE NOT in_blackout(windows, zone, moment) ORDER BY moment DESC OFFSET hours LIMIT 1), '-infinity')
$$;
