"""The cockpit: sliders, charts and tables of a cluster with an autoscaler."""
