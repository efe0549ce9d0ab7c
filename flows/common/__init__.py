"""What every flow shares: command line, progress, terminal, session."""
