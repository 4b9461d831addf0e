"""Side-by-side speed comparisons of the networks with other libraries; nothing in the project imports this."""
