"""Clothes: what a person wears, of which cloth, and the surfaces of it."""
