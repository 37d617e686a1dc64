"""The exercises of each lesson: tasks, checks, hints, solutions, and plausible wrong answers."""
