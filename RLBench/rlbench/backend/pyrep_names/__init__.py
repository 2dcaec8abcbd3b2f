"""PyRep's names on this package's engines: what task files of RLBench import and call."""
