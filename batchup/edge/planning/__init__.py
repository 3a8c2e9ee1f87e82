"""What a run would come to, before it: the plan, the forecast, the pilot."""
