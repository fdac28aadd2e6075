"""From posed surfaces to pixels."""
