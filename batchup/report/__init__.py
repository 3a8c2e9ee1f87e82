"""What is made of a run for people to look at: computed from records here, drawn elsewhere."""
