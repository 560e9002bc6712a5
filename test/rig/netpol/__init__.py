"""NetworkPolicy: cases with their truth tables, judges, and a network to try them on."""
