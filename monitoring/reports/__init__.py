"""Reports: what each is about (`kinds`), what may be asked (`filters`), how it is read and written.

docs/reports.md describes every kind's rows and columns.
"""
