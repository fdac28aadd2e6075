"""What the screens show, kept in plain Python: nothing here knows of Textual, and every test of it runs without."""
