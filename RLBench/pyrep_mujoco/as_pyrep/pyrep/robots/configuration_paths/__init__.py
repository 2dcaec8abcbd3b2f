"""Paths of joint values."""
