"""What an operator looks at: the status, its figures as metrics, whether the server is well."""
