"""What views are made of and Textual has not."""
