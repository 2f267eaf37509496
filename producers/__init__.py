"""How a service emits audit events."""
