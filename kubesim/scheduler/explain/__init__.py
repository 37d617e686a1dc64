"""Why a pod was assigned to its node, or to none, and what would change that."""
