"""The survey pipeline: its profile, request, stages and commands. The one package that knows the survey's run."""
