"""A queue for GPU jobs that needs nothing but a shared directory."""

__version__ = "0.1.0"
PROTOCOL = 1
"""The number of the spool protocol (docs/spool.md); a spool that carries another number is refused."""
