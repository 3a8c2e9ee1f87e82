"""What follows from each event: plain functions that change the board and return commands."""
