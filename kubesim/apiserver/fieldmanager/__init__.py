"""Field management: which manager owns which field (managedFields)."""
