"""What kubectl does, for Python: get, apply, rollout, cordon, drain, explain, trace."""
