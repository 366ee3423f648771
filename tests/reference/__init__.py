"""Oracles written from the formulas, sharing no code with the package."""
