"""RLBench's names for domain randomisation, which there is none of here."""
