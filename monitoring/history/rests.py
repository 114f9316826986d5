"""Since when each index rests: that none of our samples saw it scanned. Kept with each sample, an hour apart.

To read two weeks of samples of every index took a quarter of a second, on each look at a page that names those
that are unused.
"""

from datetime import timedelta

# Between two samples of an index, or nobody knows whether it was used and reset.
LONGEST_GAP = timedelta(days=1)

# A count that fell to zero was reset, and is no use; one that fell to more was used since.
ADD = f"""
INSERT INTO index_rests AS rest (indexrelid, since, until, scans, samples)
SELECT indexrelid, sampled_at, sampled_at, scans, 1 FROM index_samples WHERE sampled_at = %(at)s
ON CONFLICT (indexrelid) DO UPDATE SET (since, until, scans, samples) = (
    SELECT CASE WHEN rests THEN rest.since ELSE EXCLUDED.until END, EXCLUDED.until, EXCLUDED.scans,
        CASE WHEN rests THEN rest.samples + 1 ELSE 1 END
    FROM (SELECT EXCLUDED.scans IN (rest.scans, 0)
        AND EXCLUDED.until - rest.until <= interval '{LONGEST_GAP.total_seconds():.0f} s') AS still (rests)
)
"""
# Of those that the last samples had: an index that was dropped, or is not watched, rests no more.
RESTING = """
SELECT indexrelid::text, since, until, samples FROM index_rests
WHERE since <= %(since)s AND until > statement_timestamp() - %(gap)s
"""
RESTING_AMONG = f"{RESTING} AND indexrelid = ANY (%(among)s::oid[])"
FORGET = "DELETE FROM index_rests WHERE until < %s"
