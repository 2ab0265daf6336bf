"""What waits and runs, as the user's own document tells it: configurations, their queues, their processes."""
