"""A stage for the console: queues with a past, made of nothing, and agents on simulated GPUs that go on with it.

``make console-demo`` plays on it, ``make console-shots`` and ``make bench-console`` stand on it.
"""
