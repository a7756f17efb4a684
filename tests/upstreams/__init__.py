"""Upstreams for tests, real servers on loopback: the sandbox over given rows, and bare sockets."""
