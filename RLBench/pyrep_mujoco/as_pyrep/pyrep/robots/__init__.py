"""Robots: arms, and what they carry at their ends."""
