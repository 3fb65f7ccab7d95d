"""Leases: kernel locks that keep tasks of all controllers and users apart."""
