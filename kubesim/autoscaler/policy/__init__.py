"""Autoscaling policies: the real algorithm, and two others; pure functions of an observation."""
