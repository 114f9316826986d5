-- Chance is a hash of the seed, a label and a key: the same seed draws the same trade, and every row
-- draws for itself, whatever the plan or the order of rows.
CREATE OR REPLACE FUNCTION pg_temp.chance(label text, key bigint) RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (hashint8extended(key, hashtextextended(label, current_setting('khaacho.trade_seed')::bigint))
        & 9007199254740991)::double precision / 9007199254740992
$$;

-- Business runs from 7 to 20 in Kathmandu. Delays are added in working hours since 2020, 13 a day,
-- so that what starts in the evening goes on in the morning.
CREATE OR REPLACE FUNCTION pg_temp.at_work(hours double precision) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (timestamp '2020-01-01 07:00' + floor(hours / 13)::integer * interval '1 day'
        + (hours - 13 * floor(hours / 13)) * interval '1 hour') AT TIME ZONE 'Asia/Kathmandu'
$$;
CREATE OR REPLACE FUNCTION pg_temp.work_hours(instant timestamptz) RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT 13 * ((instant AT TIME ZONE 'Asia/Kathmandu')::date - date '2020-01-01') + least(greatest(
        extract(epoch FROM (instant AT TIME ZONE 'Asia/Kathmandu')::time) / 3600 - 7, 0), 13)::double precision
$$;
CREATE OR REPLACE FUNCTION pg_temp.kathmandu_day(instant timestamptz) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT (instant AT TIME ZONE 'Asia/Kathmandu')::date $$;

-- A number for people from its sequence, with the year of the deed instead of today's.
CREATE OR REPLACE FUNCTION pg_temp.numbered(prefix text, sequence regclass, instant timestamptz) RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT prefix || to_char(instant AT TIME ZONE 'Asia/Kathmandu', '-YYYY-')
        || lpad(nextval(sequence)::text, 7, '0')
$$;
