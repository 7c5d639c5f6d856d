"""Paired ablation studies: design, runs, records, reports. Start with ``python -m ablate --help``."""
