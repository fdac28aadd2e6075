"""The views, a file each."""
