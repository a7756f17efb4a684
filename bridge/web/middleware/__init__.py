"""The layers around the routes: limits, access log, response cache, security headers."""
