"""Stage 1: generating and converting data."""
