"""The reports as pages: an ASGI app that shows each account its own, and nothing else."""
