"""A scene that can change while it is simulated: objects come, go, and hang elsewhere."""
