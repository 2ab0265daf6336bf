"""``gpu-queue run``: its decisions, and real runs of it with real agents."""
