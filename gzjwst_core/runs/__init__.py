"""What any pipeline needs: units of work and their receipts, the process pool, the run folder and its record."""
