"""RLBench's stored demonstrations, many episodes at once."""
