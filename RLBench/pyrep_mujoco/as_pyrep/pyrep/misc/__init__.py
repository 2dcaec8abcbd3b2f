"""Signals, and registered distances."""
