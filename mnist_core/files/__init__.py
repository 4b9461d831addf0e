"""The only wing that opens files: outputs appear whole or not at all, and what cannot be read becomes one line."""
