"""The volumes of pods: what they wait for before they are mounted, and where their data is kept."""
