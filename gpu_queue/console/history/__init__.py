"""What the console remembers of GPUs (samples, on its own machine), and what the spool knows of their cost."""
