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
-- windows leave too few hours. It is called for many pipelines in one statement and looks at thousands of hours. So it does
-- not call in_blackout for each hour: it converts the windows once, to days and to minutes of a week.
CREATE OR REPLACE FUNCTION hours_ago_outside_blackouts(hours integer, windows jsonb, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    known_zone text := zone;
    days datemultirange;
    minutes int4multirange;
    moment timestamptz := now();
    there timestamp;
    missing integer := hours;
BEGIN
    BEGIN
        PERFORM moment AT TIME ZONE zone;
    EXCEPTION WHEN invalid_parameter_value THEN
        known_zone := 'UTC';
    END;
    SELECT coalesce(range_agg(daterange((w->>'first_day')::date, (w->>'last_day')::date, '[]')), '{}') INTO days
    FROM jsonb_array_elements(windows) w WHERE NOT w ? 'weekdays';
    -- Minutes count from Monday. A window that begins on Sunday may end on Monday, so it is there a second time, a week earlier.
    SELECT coalesce(range_agg(int4range(f.first, f.first + f.length)), '{}') INTO minutes
    FROM jsonb_array_elements(windows) w
    CROSS JOIN LATERAL jsonb_array_elements_text(w->'weekdays') name
    CROSS JOIN LATERAL (SELECT extract(epoch FROM (w->>'start')::time)::integer / 60 AS start,
        extract(epoch FROM (w->>'end')::time)::integer / 60 AS "end") t
    CROSS JOIN LATERAL (SELECT CASE WHEN t."end" > t.start THEN t."end" - t.start ELSE t."end" - t.start + 1440 END AS length,
        t.start + 1440 * (array_position(
            ARRAY['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'], name) - 1) AS monday) l
    CROSS JOIN LATERAL (VALUES (l.monday, l.length), (l.monday - 10080, l.length)) f (first, length)
    WHERE w ? 'weekdays';
    FOR i IN 0..(31 * 24 + 12 * hours) LOOP
        there := moment AT TIME ZONE known_zone;
        IF NOT (there::date <@ days OR (extract(isodow FROM there)::integer - 1) * 1440
                + extract(hour FROM there)::integer * 60 + extract(minute FROM there)::integer <@ minutes) THEN
            IF missing = 0 THEN
                RETURN moment;
            END IF;
            missing := missing - 1;
        END IF;
        moment := moment - interval '1 hour';
    END LOOP;
    RETURN '-infinity';
END
$$;
