"""The backend of the alias `replica`: connections whose every wait has an end."""
