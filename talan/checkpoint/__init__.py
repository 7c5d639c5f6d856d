"""Checkpoints: a model with its side paths in a folder, beside PEFT's untouched files."""

from talan.checkpoint.folder import load, save

__all__ = ["load", "save"]
