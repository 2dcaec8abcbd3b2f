"""Evaluation: protocol, metrics, report, figures."""
