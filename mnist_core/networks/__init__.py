"""What a network is: its layers, its weights, what it must be able to do, and its file."""
