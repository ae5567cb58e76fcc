"""Several models, or one with changed settings, trained alike on one data set and measured beside each other."""
