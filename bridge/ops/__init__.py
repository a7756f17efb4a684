"""What operators use: logs, metrics, usage counts, alerts and the status report."""
