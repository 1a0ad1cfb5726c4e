"""What happened: tables become a frozen ``Dataset`` of aligned arrays."""
