"""What a person may do with a spool: publish, cancel, retry, steer, command, forget, clean."""
