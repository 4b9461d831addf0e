"""How a network learns: a run, the loop, the ways to fail, the records, and the workers."""
