"""The simulated CPU and memory usage of pods."""
