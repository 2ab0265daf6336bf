"""What to do: pure decisions over facts.  Nothing here reads a clock, a file or a random number."""
