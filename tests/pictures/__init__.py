"""Pictures of the dashboards for docs/dashboards.md: `python -m tests.pictures`."""
