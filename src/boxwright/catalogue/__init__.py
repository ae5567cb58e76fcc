"""The models that there are: what each costs, where weights come from, what others published of it."""
