"""`make chaos`: what the site promises, while everything it stands on is killed, frozen and emptied."""
