"""What is known of a model and of the account: asked for, kept, bundled, and held against items."""
