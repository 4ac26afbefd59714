"""What starts the system: the command line, processes, demo, containers, simulator."""

__version__ = "0.5.0"
