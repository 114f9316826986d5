"""One module for each target of docs/performance.md: `measure(bench)` returns its findings."""
