"""What the console costs (``make bench-console``)."""
