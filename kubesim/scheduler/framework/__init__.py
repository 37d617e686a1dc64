"""The scheduling framework: extension points, profiles, snapshots of the nodes."""
