"""From decoded scenes to MJCF."""
