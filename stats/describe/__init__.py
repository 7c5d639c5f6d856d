"""Descriptions beside the tests: interquartile means, profiles, P(improvement), budget curves."""
