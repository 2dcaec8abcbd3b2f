"""Smoothing of measured sequences."""
