"""Training: the objective, draws keyed by seed and position, one visible loop. Floor 2.

`loop` is the place to start reading.
"""
