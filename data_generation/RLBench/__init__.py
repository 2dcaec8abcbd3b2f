"""RLBench data: generation, raw store, conversion."""
