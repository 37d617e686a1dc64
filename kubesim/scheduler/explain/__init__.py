"""Why a pod was placed where it is, or not at all, and what would change that."""
