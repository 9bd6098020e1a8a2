"""The app: Textual shows the pictures of `view` and turns keys into commands."""
