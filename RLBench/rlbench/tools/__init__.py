"""Command-line tools: the task validator, and scripts that write the drawn parts of scenes."""
