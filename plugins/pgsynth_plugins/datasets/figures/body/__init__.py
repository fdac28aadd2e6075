"""Bodies: build, bones, and the surfaces of skin, face and hair."""
