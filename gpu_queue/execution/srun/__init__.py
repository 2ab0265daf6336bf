"""``srun`` for one node: a program of its own, of which the package imports nothing."""
