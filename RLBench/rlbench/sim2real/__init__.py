"""RLBench's names for domain randomisation, which this package does not do."""
