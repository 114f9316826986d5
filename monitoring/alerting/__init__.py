"""Rules that raise alerts, and how people away from the admin hear of them (docs/alerts.md)."""
