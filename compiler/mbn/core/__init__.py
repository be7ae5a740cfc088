"""What every floor above shares: values, files, errors. It imports only numpy."""
