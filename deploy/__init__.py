"""What starts the system: the command line, processes, demo, containers, simulator."""

__version__ = "0.4.0"
