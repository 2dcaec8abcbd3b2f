"""Making demonstrations: workers, episodes, the report."""
