"""Plans: what a change will do, said before it is done; doing it once, and undoing it where the spool can."""
