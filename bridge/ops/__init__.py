"""Operations: logs, metrics, usage counts, alerts and the status report."""
