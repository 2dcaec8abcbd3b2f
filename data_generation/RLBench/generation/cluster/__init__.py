"""Workers on other machines: who gets which episode, and where the files are written."""
