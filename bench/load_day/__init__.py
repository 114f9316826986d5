"""A trading day against a running site, with people who think, and then as much as the site can take."""
