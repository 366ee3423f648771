"""Atomic Cluster Expansion interatomic potentials: build, fit and run them."""
