"""Faults for real machines: what goes wrong while a host is hardened, and what has to be true afterwards."""
