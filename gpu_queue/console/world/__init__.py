"""What the console sees: one thread looks at each spool that somebody looks at, for all of them."""
