"""Pose branches: target pose in, residuals for the denoiser out. One folder per part; see `registry.toml`."""
