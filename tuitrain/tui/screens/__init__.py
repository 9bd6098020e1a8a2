"""The places and the passing questions of the app."""
