"""The console: a web page over the desk and the snapshot of a spool, on any machine that mounts the directory."""
