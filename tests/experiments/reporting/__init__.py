"""What runs took: figures, tables, exports, and reports of real queues."""
