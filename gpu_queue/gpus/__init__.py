"""The node's GPUs: what they are and do (NVML or simulated), who holds them, and how a task is shown its own."""
