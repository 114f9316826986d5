"""`make demo`, `make test` and what they stand on: servers, processes, logins (docs/local.md)."""
