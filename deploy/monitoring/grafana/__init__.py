"""The dashboards of Grafana as a description; `make docs` writes their JSON."""
