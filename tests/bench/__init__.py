"""The benchmarks: what they make of their readings, and that they run."""
