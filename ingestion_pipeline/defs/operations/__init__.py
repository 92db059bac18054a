"""What operators run: jobs and schedules."""
