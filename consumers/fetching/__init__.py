"""How messages come from Kafka's client into arrays."""
