"""What a release adds to a table that everybody uses: the hours in which an order may be delivered."""
