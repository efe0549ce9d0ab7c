"""Time series: cosmic rays, telegraph and bad pixels in the integrations of one exposure; and its pipeline."""
