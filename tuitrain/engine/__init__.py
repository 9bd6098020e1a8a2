"""Data, models, losses, and the loop that trains: everything that needs torch."""
