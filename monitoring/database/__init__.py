"""What PostgreSQL says about itself, read through a connection of its own (access.py)."""
