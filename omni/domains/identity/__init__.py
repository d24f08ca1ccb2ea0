"""Who a person is: users, passwords, verified addresses, login sessions."""
