"""Starting, resuming and ending trainer processes, and queries to torch in another process."""
