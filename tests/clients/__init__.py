"""Real calendar clients, and what they make of the bridge's feeds."""
