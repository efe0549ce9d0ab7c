"""What only the survey flow has: its lines for a person, its options, its dry run."""
