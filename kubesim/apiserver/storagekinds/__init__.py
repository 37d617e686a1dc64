"""Claims, volumes, and the group storage.k8s.io; in the shape of `kinds` and `clusterkinds`."""
