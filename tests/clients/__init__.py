"""Tests with real calendar clients: each must read all events of each feed correctly."""
