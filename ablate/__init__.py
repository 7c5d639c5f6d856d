"""Paired ablation studies: design, runs, records, reports. See ``python -m ablate --help``."""
