"""What most projects would ship: plain DRF and ORM on the same tables, to measure against."""
