"""Plans of measured statements, and indexes that would make them cheaper (docs/monitoring-advice.md).

`texts` reads normalised SQL word by word, `statements` finds what was measured, `planning` is the one
place that has anything planned, `plans` makes a tree of it for people; `conditions` says what a plan
wants of a table, `relations` what the table has, `candidates` which indexes could serve, `hypothetical`
lets the planner believe in them, `advisor` chooses, `wording` writes the lines to paste, `keeping`
stores what was found.
"""
