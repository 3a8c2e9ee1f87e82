"""What the checkpoint's file is made of: its tables, how it is opened, sealed, counted and changed."""
