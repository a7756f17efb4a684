"""Test upstreams: real servers on loopback, by the sandbox's API or by raw sockets."""
