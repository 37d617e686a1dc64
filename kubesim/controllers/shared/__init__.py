"""What several controllers use: adoption, expectations, ranking of pods."""
