"""Upstreams for tests: real servers on loopback that share no code with the bridge."""
