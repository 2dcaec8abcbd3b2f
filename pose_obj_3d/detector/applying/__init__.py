"""Use detectors: over the demos of an archive, into a new archive."""
