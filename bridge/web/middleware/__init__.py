"""What every request or response passes through."""
