"""The instruments of `make bench`: clients, clocks, PostgreSQL's own figures, plots, the report."""
