"""Composition: sites, chains, the method built from a spec, its proof and its cost. Floor 1, imports torch.

`build` makes a `method` out of parts; `proof` shows on the meta device that they keep their contracts.
"""
