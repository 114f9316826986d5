"""Maintenance of one table or index as a job, with progress, a log and an honest end (docs/maintenance.md).

`kinds` says what there is, `targets` on what, `runs` is the row that remembers, `asking` the verbs of
people, `working` what the job does.
"""
