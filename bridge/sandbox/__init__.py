"""A studio that speaks the upstream's language, over real HTTP on a loopback address."""
