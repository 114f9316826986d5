"""Backups of the database: made, kept, proven by drills, and put back (docs/backups.md).

`server` reaches PostgreSQL and its programs, `contents` counts what a snapshot holds, `manifest` says what a
file holds, `shelf` is the directory of them, `dumping` makes one, `restoring` puts one back, `drill` proves
one, `retention` forgets the old, `encryption` and `s3` are optional, `records` keeps the rows that staff see,
`making` is all that a backup does in its order.
"""
