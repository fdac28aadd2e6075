"""The terminal UI. Floor 6: Textual, never torch, which training and sampling import in processes of their own."""
