"""Notifications: hooks carried out in a process of their own, where neither an error nor a hang can harm a run."""
