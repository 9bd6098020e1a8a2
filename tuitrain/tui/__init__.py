"""The app: Textual shows what `view` draws and turns keys into commands."""
