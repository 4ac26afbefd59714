"""Servers as child processes, without containers, for the demo and the tests."""
