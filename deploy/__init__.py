"""What starts the system: the command line, embedded servers, demo, images, dashboards."""

__version__ = "0.1.0"
