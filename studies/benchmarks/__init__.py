"""Measurements of speed, run by hand; see each module."""
