"""Logs of any size: windows of rows, search, what comes while it is printed.  Files are read by ``pread`` alone."""
