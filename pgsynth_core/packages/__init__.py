"""What is installed, what it offers, whether it is well, and how it comes and goes: a module for each question.

Floor 2, no torch. Every function works whatever package is broken. Nothing is imported here: a list must not wait for
what composing or installing needs.
"""
