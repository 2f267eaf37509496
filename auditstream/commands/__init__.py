"""One module per subcommand of ``auditstream``."""
