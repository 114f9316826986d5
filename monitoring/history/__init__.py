"""What PostgreSQL counted, sampled every five minutes and kept for 30 days (docs/monitoring-history.md).

`sampling` writes, `partitions` makes room and forgets, `windows` and its neighbours read.
"""
