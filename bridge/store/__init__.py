"""The key-value store that workers and machines share, and the structures built on it."""
