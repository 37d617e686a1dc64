"""What a learner gets back: errors with their line, hints, compared predictions, progress."""
