"""The loop on a node: observe, plan, act."""
