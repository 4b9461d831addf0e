"""Evidence that the networks are right: gradient checks, naive layers to compare with, twins side by side."""
