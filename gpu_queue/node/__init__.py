"""One node's side of a spool: what the storage thread reads and moves for an agent."""
