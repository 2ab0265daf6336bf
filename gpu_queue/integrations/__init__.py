"""The queue in the words of other libraries: each module imports what it needs, and nothing else does."""
