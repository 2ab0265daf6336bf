"""The shared directory: the only code that spells its names, renames in it, and reads and writes its files."""
