"""TeamUp: the only package that knows the vendor."""
