"""Rules by which personal data is found, each with what makes it certain."""
