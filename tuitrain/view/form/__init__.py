"""What is asked for before and during a run: its form, its settings, its pace."""
