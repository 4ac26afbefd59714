"""What watches an installation: rules of Prometheus, dashboards of Grafana."""
