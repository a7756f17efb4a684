"""The key-value store that workers and machines share, and what is built on it."""
