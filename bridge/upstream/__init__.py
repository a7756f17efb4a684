"""The client for TeamUp's API. No other package contains details of the vendor."""
