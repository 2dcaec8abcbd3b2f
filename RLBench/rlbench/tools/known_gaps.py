"""Why demonstrations of some of RLBench's tasks fail more often than others, as far as we know."""

KNOWN_GAPS: dict[str, str] = {}
"""By task: one line, the cause seen in failing demonstrations."""
