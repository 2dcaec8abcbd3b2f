"""PyRep's package of that name."""
