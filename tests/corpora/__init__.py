"""What must arrive, by a rule that is written down: small inputs and their right values."""
