"""The tuning panel: settings of an autoscaler, compared on the same load."""
