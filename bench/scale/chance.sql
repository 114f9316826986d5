-- Chance is a hash of the seed, a label and a key; the seed stands as a constant, so that a draw costs one hash.
CREATE OR REPLACE FUNCTION scale.chance(label text, key bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (hashint8extended(key, hashtextextended(label, {seed})) & 9007199254740991)::double precision / 9007199254740992
$$;
CREATE OR REPLACE FUNCTION scale.day(instant timestamptz) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT (instant AT TIME ZONE 'Asia/Kathmandu')::date $$;

-- A number for people as khaacho.models.Sequence makes it, which cuts off what is longer than seven digits; this
-- one does not.
CREATE OR REPLACE FUNCTION scale.number(prefix text, n bigint, instant timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT prefix || to_char(instant AT TIME ZONE 'Asia/Kathmandu', '-YYYY-') || CASE WHEN n < 10000000 THEN lpad(n::text, 7, '0') ELSE n::text END
$$;

-- Steps of the state machine that an order took, its cancellation not counted.
CREATE OR REPLACE FUNCTION scale.steps(status text, n bigint) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_position(ARRAY['PLACED', 'PENDING', 'ACCEPTED', 'PACKING', 'DISPATCHED', 'OUT_FOR_DELIVERY',
        'DELIVERED', 'COMPLETED'], status), CASE WHEN scale.chance('cancelled late', n) < 0.5 THEN 3 ELSE 2 END)
$$;
CREATE OR REPLACE FUNCTION scale.score(retailer bigint) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT score FROM scale.plan_score WHERE n = floor(101 * scale.chance('score', retailer))::integer
$$;
