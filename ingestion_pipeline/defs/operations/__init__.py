"""What operators run: jobs, schedules, maintenance."""
