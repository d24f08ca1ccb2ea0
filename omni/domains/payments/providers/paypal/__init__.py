"""PayPal, over its REST APIs."""
