"""What an app imports: Application, was, results."""
