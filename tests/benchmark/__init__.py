"""Measurements that are run by hand; none is a test with a time limit."""
