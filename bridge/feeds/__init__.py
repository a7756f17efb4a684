"""From a feed specification to the bytes that a calendar reads."""
