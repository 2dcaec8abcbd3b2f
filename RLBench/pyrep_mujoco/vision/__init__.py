"""Camera conventions, rendering, visibility."""
