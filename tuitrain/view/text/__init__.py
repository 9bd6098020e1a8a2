"""A run in words: reports, tables and numbers."""
