"""Alert rules, their tests, SLO rules and dashboards, made of deploy/*.yaml and of what this package knows."""
