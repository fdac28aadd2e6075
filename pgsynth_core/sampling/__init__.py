"""Sampling: diffusers' schedulers on the run's own noise schedule, nested guidance, seeds per picture. Floor 2."""
