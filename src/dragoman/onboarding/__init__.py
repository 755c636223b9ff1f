"""How accounts get into the pool, for the command line and the admin API alike."""
