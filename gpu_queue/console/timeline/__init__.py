"""What GPUs were used for: lanes, made of the nodes' histories (docs/spool.md, "Events")."""
