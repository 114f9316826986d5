"""`make scale-demo`: many machines' topology by processes of one, from the files that production uses."""
