"""The scheduler's plug-ins for volumes, one a file under its upstream name."""
