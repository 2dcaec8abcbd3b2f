"""What each kind of object of a session can do."""
