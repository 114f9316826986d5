"""The two releases between which the scaled demo goes while it works: `this`, and `next`, which brings migrations."""
