"""What a person may see of a spool: an immutable, bounded view that is cheap to refresh."""
