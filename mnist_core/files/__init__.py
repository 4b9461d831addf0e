"""How files are read and written: outputs appear whole or not at all, and what cannot be read becomes one line."""
