"""Points in text files."""
